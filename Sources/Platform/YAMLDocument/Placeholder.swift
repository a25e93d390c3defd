// Not yet filled.
