"""From a payment to who earned what: terms, flows, accruals, earnings."""
