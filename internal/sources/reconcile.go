package sources

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/surehook/surehook/providers"
)

const defaultLookback = time.Hour

// Reconcile says when a source's records are compared with the platform's state.
// Without a Cron they are not.
type Reconcile struct {
	Cron     string        // as crontab has it, in UTC unless it says otherwise
	Lookback time.Duration // how far each run goes back before the last complete one
	Lists    []string      // the lists to read; nil stands for those that fit the accepted events
	Unseen   time.Duration // the age after which a record is fetched again; 0 for never
}

// declaredReconcile is Reconcile in the file.
type declaredReconcile struct {
	Cron     string        `yaml:"cron"`
	Lookback time.Duration `yaml:"lookback"`
	Lists    []string      `yaml:"lists"`
	Unseen   time.Duration `yaml:"unseen"`
}

func (r *reader) reconcile(d declaredReconcile) Reconcile {
	declared := d.Cron != "" || d.Lookback != 0 || d.Lists != nil || d.Unseen != 0
	switch {
	case !declared:
	case d.Cron == "":
		r.fail("reconcile.cron", errors.New(`missing: say when, such as "*/15 * * * *"`))
	default:
		if err := checkCron(d.Cron); err != nil {
			r.fail("reconcile.cron", fmt.Errorf(`%q: %w: want five fields such as "*/15 * * * *", or @hourly`, d.Cron, err))
		}
	}
	if d.Lookback < 0 || d.Lookback%time.Second != 0 {
		r.fail("reconcile.lookback", fmt.Errorf("%s: want whole seconds, such as 1h", d.Lookback))
	}
	if d.Unseen < 0 || d.Unseen%time.Second != 0 {
		r.fail("reconcile.unseen", fmt.Errorf("%s: want whole seconds, such as 24h", d.Unseen))
	}
	if d.Lists != nil && len(d.Lists) == 0 && d.Unseen == 0 {
		r.fail("reconcile.lists", errors.New("empty: leave it out to read those that fit the accepted events"))
	}
	if d.Lookback == 0 {
		d.Lookback = defaultLookback
	}
	return Reconcile(d)
}

// checkCron accepts what Temporal reads in the same way.
func checkCron(text string) error {
	if strings.HasPrefix(text, "TZ=") || strings.HasPrefix(text, "CRON_TZ=") {
		if !strings.Contains(text, " ") { // the parser would panic
			return errors.New("there is nothing after the time zone")
		}
	}
	if strings.Contains(text, "?") {
		return errors.New("? is not known to Temporal")
	}
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return err
	}
	if parsed.Next(time.Now()).IsZero() {
		return errors.New("there is no such time")
	}
	return nil
}

// ReconciledLists returns the lists that the source's reconciliations read: those
// that are declared or, by default, those whose events the source accepts. The
// errors begin with the name of the field below the source.
func (s Source) ReconciledLists(p providers.Provider) (names []string, errs []error) {
	if s.Reconcile.Cron == "" {
		return nil, nil
	}
	fail := func(field string, err error) { errs = append(errs, fmt.Errorf("reconcile%s: %w", field, err)) }

	all, fitting := s.listsOf(p)
	_, fetches := p.(providers.Fetcher)
	switch {
	case len(all) == 0 && (len(s.Reconcile.Lists) > 0 || s.Reconcile.Unseen == 0):
		fail("", fmt.Errorf("provider %s has no lists with these settings; reconcile.unseen alone fetches records again", s.Provider))
	case s.Reconcile.Lists == nil:
		names = fitting
	default:
		names = slices.Clone(s.Reconcile.Lists)
		for i, name := range names {
			if !slices.Contains(all, name) {
				fail(fmt.Sprintf(".lists[%d]", i), fmt.Errorf("%q: want one of %s", name, strings.Join(all, ", ")))
			} else if slices.Contains(names[:i], name) {
				fail(fmt.Sprintf(".lists[%d]", i), fmt.Errorf("%q: it is there twice", name))
			}
		}
	}
	switch {
	case s.Reconcile.Unseen > 0 && !fetches:
		fail(".unseen", fmt.Errorf("provider %s has no API to fetch records from", s.Provider))
	case s.Reconcile.Unseen > 0:
		names = append(names, providers.Unseen)
	case len(names) == 0 && len(errs) == 0:
		fail("", fmt.Errorf("none of the lists fits events.accept: name some of %s in reconcile.lists", strings.Join(all, ", ")))
	}
	return names, errs
}

// listsOf are the names of the lists that the provider has, and of those that show
// what the source's events tell of.
func (s Source) listsOf(p providers.Provider) (all, fitting []string) {
	lister, ok := p.(providers.Lister)
	if !ok {
		return nil, nil
	}
	for _, l := range lister.Lists() {
		all = append(all, l.Name)
		takes := func(pattern string) bool { return providers.MatchType(pattern, l.Event) }
		if l.Event == "" || slices.ContainsFunc(s.Accept, takes) {
			fitting = append(fitting, l.Name)
		}
	}
	return all, fitting
}
