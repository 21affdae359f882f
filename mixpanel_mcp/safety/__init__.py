"""What may happen: one classifier, one gate, one audit trail for every tool there is."""
