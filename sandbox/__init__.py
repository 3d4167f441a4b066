"""A small local stand-in for Stripe: its HTTP API, hosted pages and signed webhooks, with no real money."""
