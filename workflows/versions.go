package workflows

// A run may be parked for months, so it may outlive many releases, and its
// history must replay under all of them. Whoever changes what a released
// definition does, in which order, puts the new way behind a gate in this file:
// a named predicate over workflow.GetVersion, with the release that introduced
// it and the condition under which it may be deleted:
//
//	// notifiesBeforeSync: since v0.4.0 (2027-01-01). Delete when no older run is
//	// open. In the Web UI, or with `temporal workflow list --query`:
//	// ExecutionStatus = "Running" AND StartTime < "2027-01-01T00:00:00Z"
//	func notifiesBeforeSync(ctx workflow.Context) bool {
//		return workflow.GetVersion(ctx, "notifies-before-sync", workflow.DefaultVersion, 1) == 1
//	}
//
// The replay tests run every definition over histories recorded from released
// code and fail when a gate is missing. There are no gates yet: nothing has
// been released.
