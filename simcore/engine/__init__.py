"""The engine: kernels that say what an exchange does to orders, money and margin. No clock, no file, no random source."""
