//go:build !small

package tagged

import _ "database/sql"
