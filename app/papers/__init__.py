"""Papers that leave the house: packing slips, statements, SEPA files. Pure: data in, bytes out."""
