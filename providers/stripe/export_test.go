package stripe

// Collections lets the tests compare the table with Stripe's specification.
func Collections() map[string]string { return collections }

// ListedTypes returns the type of the objects in each list.
func ListedTypes() map[string]string {
	types := map[string]string{}
	for _, l := range objectLists {
		types[l.name] = l.objectType
	}
	return types
}
