"""The lab: what was used, or might be, under other plans, prices and settings. It only reads."""
