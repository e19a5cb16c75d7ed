package msgraph

import "time"

// LetTimePass ends the pause between two fetches of keys.
func LetTimePass(p *Provider) {
	p.tokens.keys.mu.Lock()
	defer p.tokens.keys.mu.Unlock()
	p.tokens.keys.tried = time.Now().Add(-keysPause)
}
