"""How right the tools are: phantoms of known truth, and real series with reference masks."""
