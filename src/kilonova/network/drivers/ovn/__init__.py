"""OVN as the dataplane: specs to rows of the northbound database, and the rows there.

`rows` says what a row is to us, `translate` turns specs into rows (pure), `acls` and `dhcp` do the two long
parts of that, `plan` compares wanted rows with real ones and yields the operations of one transaction (pure),
`driver` joins them to the database. Names and external_ids are those of upstream's own OVN driver where it
has them, so an operator's knowledge and tools carry over; our own two keys, `kilonova:owner` and
`kilonova:key`, say which object a row belongs to and which of its rows it is.
"""
