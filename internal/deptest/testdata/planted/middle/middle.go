// Package middle stands between planted and what it must not reach.
package middle

import _ "github.com/surehook/surehook/internal/deptest/testdata/planted/leaf"
