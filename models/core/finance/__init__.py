"""Money that came, is owed and left: payments, payouts, credits, the journal."""
