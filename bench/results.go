//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"time"
)

// measurement is one figure of one repeat.
type measurement struct {
	Setting string  `json:"setting"` // such as "64 connections"
	Subject string  `json:"subject"` // who was measured: Surehook or a yardstick
	Metric  string  `json:"metric"`
	Repeat  int     `json:"repeat"`
	Value   float64 `json:"value"`
}

// listing is a table that is not made of measurements: a time line, statements.
type listing struct {
	Title  string     `json:"title"`
	Header []string   `json:"header"`
	Rows   [][]string `json:"rows"`
}

// caseResult is all that one case has measured.
type caseResult struct {
	Case         string            `json:"case"`
	Began        time.Time         `json:"began"`
	Took         string            `json:"took"`
	Sizes        map[string]string `json:"sizes"`
	Environment  environment       `json:"environment"`
	Measurements []measurement     `json:"measurements"`
	Listings     []listing         `json:"listings,omitempty"`
	Notes        []string          `json:"notes,omitempty"`
}

func (c *caseResult) note(format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	if !slices.Contains(c.Notes, note) {
		c.Notes = append(c.Notes, note)
	}
}

// of is where figures of one subject in one setting and repeat are added.
func (c *caseResult) of(setting, subject string, repeat int) adder {
	return adder{c, measurement{Setting: setting, Subject: subject, Repeat: repeat}}
}

type adder struct {
	result *caseResult
	as     measurement
}

func (a adder) add(metric string, value float64) {
	a.as.Metric, a.as.Value = metric, value
	a.result.Measurements = append(a.result.Measurements, a.as)
}

// addLatencies adds the quantiles of sorted latencies, in milliseconds.
func (a adder) addLatencies(sorted []time.Duration) {
	a.add("p50 ms", milliseconds(quantile(sorted, 0.50)))
	a.add("p99 ms", milliseconds(quantile(sorted, 0.99)))
}

// quantile is the smallest of the sorted values that a share of them does not exceed.
func quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(share*float64(len(sorted))))-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// series picks the figures of one metric, by repeat.
type series struct{ Setting, Subject, Metric string }

// values are the figures in the order of their repeats.
func (c *caseResult) values(s series) []float64 {
	byRepeat := map[int]float64{}
	for _, m := range c.Measurements {
		if m.Setting == s.Setting && m.Subject == s.Subject && m.Metric == s.Metric {
			byRepeat[m.Repeat] = m.Value
		}
	}
	var values []float64
	for _, repeat := range slices.Sorted(maps.Keys(byRepeat)) {
		values = append(values, byRepeat[repeat])
	}
	return values
}

// ratios divides figures that were measured in the same repeat.
func (c *caseResult) ratios(of, by series) []float64 {
	a, b := c.values(of), c.values(by)
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	return ratios
}

// summary is what is told of a series.
type summary struct{ median, low, high float64 }

func summarize(values []float64) summary {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return summary{math.NaN(), math.NaN(), math.NaN()}
	}
	return summary{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// results are those of the cases that have been run, also in earlier runs.
type results map[string]*caseResult

// readResults returns what a file holds, and nothing when it is not there.
func readResults(file string) (results, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return results{}, nil
	}
	if err != nil {
		return nil, err
	}
	all := results{}
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return all, nil
}

func (r results) write(file string) error {
	raw, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(raw, '\n'), 0o644)
}
