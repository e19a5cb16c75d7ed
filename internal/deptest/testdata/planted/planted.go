// Package planted breaks import rules on purpose.
package planted

import (
	_ "os"

	_ "github.com/surehook/surehook/internal/deptest/testdata/planted/middle"
)
