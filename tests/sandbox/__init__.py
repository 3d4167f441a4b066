"""The stand-in for Stripe, driven by the real SDK."""
