"""Options by section, each written once."""
