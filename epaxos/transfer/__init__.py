"""How a state goes from one replica to another: who gives, and who takes (docs: protocol/transfer)."""
