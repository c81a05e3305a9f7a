"""The decision core: from a strategy's wish to an order that breaks no limit."""
