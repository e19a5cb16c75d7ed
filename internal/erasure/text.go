// unescapeURL reads the escapes of URLs and forms, and reports whether there were
// any. Unlike url.PathUnescape it has no errors: what is none stays as it is.
func unescapeURL(b []byte) ([]byte, bool) {
	if bytes.IndexByte(b, '%') < 0 {
		return nil, false
	}
	plain := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			if n, err := strconv.ParseUint(string(b[i+1:i+3]), 16, 8); err == nil {
				plain = append(plain, byte(n))
				i += 2
				continue
			}
		}
		plain = append(plain, b[i])
	}
	return plain, true
}
