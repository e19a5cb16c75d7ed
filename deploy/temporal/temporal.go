// Package temporal is how a Temporal server is set up for Surehook, for the
// programs here that run one without containers: what is tested and measured is
// what is deployed.
package temporal

import (
	_ "embed"
	"fmt"

	"github.com/goccy/go-yaml"
)

// VisibilityIndexes are the statements that fit the indexes of the visibility
// database to what Surehook's runs have in them.
//
//go:embed visibility.sql
var VisibilityIndexes string

// GOGC is the server's variable of that name, in percent. It takes a third more
// memory than with Go's own 100, and less of the processor (docs/tuning.md).
const GOGC = "200"

//go:embed dynamicconfig.yaml
var dynamicConfig []byte

// DynamicConfig returns what differs from the server's defaults, by key. In
// Temporal's own notation a key may have values for some namespaces only; ours
// have one value for all.
func DynamicConfig() (map[string]any, error) {
	var file map[string][]struct{ Value any }
	if err := yaml.Unmarshal(dynamicConfig, &file); err != nil {
		return nil, fmt.Errorf("read temporal's dynamic configuration: %w", err)
	}
	values := map[string]any{}
	for key, entries := range file {
		for _, entry := range entries {
			values[key] = entry.Value
		}
	}
	return values, nil
}
