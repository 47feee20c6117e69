package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

func TestDemoKeepsItsPromises(t *testing.T) {
	for name, given := range map[string]func() string{
		"on embedded nodes": func() string { return "" },
		"on given nodes":    func() string { return strings.Join(coretest.Redis(t, 3).URLs(), ",") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("REDIS_NODES", given())
			var out bytes.Buffer
			require.NoError(t, demo(context.Background(), &screen{out: &out}, options{}), out.String())
			for _, a := range acts {
				require.Contains(t, out.String(), a.label())
			}
			require.NotContains(t, out.String(), "\x1b", "escape sequences where nobody reads them")
		})
	}
}

func TestTerminalGetsABar(t *testing.T) {
	var out bytes.Buffer
	b := (&screen{out: &out, terminal: true}).bar(act{title: "burst", requests: 10})
	b.show(10)
	require.Contains(t, out.String(), "["+strings.Repeat("#", barWidth)+"] 10/10")
	b.done(outcome{})
	require.True(t, strings.HasSuffix(out.String(), "10 requests in 0s\n"))
}

func TestNodesThatCannotBeCutAreRefused(t *testing.T) {
	for given, cause := range map[string]string{
		"redis://a:1,redis://b:2":             "name 3 or 5",
		"rediss://a:1,rediss://b:2,unix:///c": "at least one must be a redis:// URL",
	} {
		t.Setenv("REDIS_NODES", given)
		_, err := openNodes(t.Context(), false)
		require.ErrorContains(t, err, cause)
	}
}

// A broken promise is one that the witness contradicts.
func TestPromisesAreChecked(t *testing.T) {
	replies := []reply{{status: 200}, {status: 200}}
	overlapping := outcome{act: act{perKey: 2}, replies: replies, records: map[string]*record{"k": {runs: 2, most: 2, balance: 1}}}
	require.ErrorContains(t, neverTwoAtOnce(&overlapping), "2 handlers ran at once")
	require.ErrorContains(t, neverTwoAtOnce(&outcome{replies: replies}), "0 handlers ran at once")
	require.NoError(t, neverTwoAtOnce(&outcome{replies: []reply{{status: 503}}}))
	require.ErrorContains(t, nothingLost(&overlapping), "1 of 2 runs were lost")
	require.ErrorContains(t, oneRunPerKey(&overlapping), "the handler ran 2 times")
	require.NoError(t, allServed(&overlapping))
	missing := outcome{act: act{perKey: 1}, replies: replies, records: map[string]*record{"k": {runs: 1}}}
	require.ErrorContains(t, oneRunPerKey(&missing), "handlers ran for 1 keys of 2")
	refusal := outcome{replies: []reply{{status: 503}}}
	require.ErrorContains(t, servedOrRefused(&refusal), "status 503", "a refusal must say when to come back")
	refusal.replies[0].retryAfter = true
	require.NoError(t, servedOrRefused(&refusal))
}
