package sandbox

import "slices"

// Knows reports whether the sandbox knows what an event of the type means for
// its object. Of others it makes events all the same: platforms add types, and
// a test may want one that does not exist.
func (p *Platform) Knows(typ string) bool { return p.dialect.knows(typ) }

func (stripe) knows(typ string) bool {
	if stripeEffects[typ] != nil || typ == "invoice.upcoming" || typ == "balance.available" {
		return true
	}
	object, verb := splitStripeType(typ)
	_, listed := stripeTypes[object]
	return listed && slices.Contains([]string{"created", "updated", "deleted"}, verb)
}

func (github) knows(typ string) bool {
	event, action := splitGithubType(typ)
	listed := slices.ContainsFunc(githubEvents, func(e githubEvent) bool { return e.name == event.name })
	if !listed {
		return false
	}
	return action == event.action || githubActions[action] != nil || githubEffects[event.name+"."+action] != nil ||
		slices.Contains([]string{"created", "opened", "edited", "deleted", "renamed"}, action)
}
