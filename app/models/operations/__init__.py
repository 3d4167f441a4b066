"""What an operator needs to see: webhook events, mails, changes, refusals."""
