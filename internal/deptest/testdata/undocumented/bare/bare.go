// Not a package comment: an empty line follows.

package bare
