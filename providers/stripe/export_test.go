package stripe

// Collections lets the tests compare the table with Stripe's specification.
func Collections() map[string]string { return collections }
