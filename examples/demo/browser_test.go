package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/examples/internal/chromium"
)

// staying is a demo after its bursts, under load while somebody looks on.
func staying(t *testing.T, real bool) *view {
	t.Helper()
	t.Setenv("REDIS_NODES", "")
	nodes, err := openNodes(t.Context(), real)
	require.NoError(t, err)
	fleet, err := startFleet(t.Context(), nodes.urls)
	require.NoError(t, err)
	v, err := openView(fleet, nodes, true)
	require.NoError(t, err)
	ctx, interrupt := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- v.stay(ctx) }()
	require.Eventually(t, v.isLoading, time.Minute, time.Millisecond)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		interrupt()
		require.NoError(t, <-over, "nothing overlapped, nothing was lost")
		require.NoError(t, v.Close())
		require.NoError(t, fleet.Close())
		require.NoError(t, nodes.Close())
		if t.Failed() {
			t.Log(fleet.logs())
		}
	})
	return v
}

const within = time.Minute

// The page shows what happens, and its buttons make things happen. The fleet goes
// on whatever they break.
func TestDemoInABrowser(t *testing.T) {
	v := staying(t, false)
	page := chromium.Open(t, v.url)
	with := v.load.sides[1]
	// goesOn waits for figures on the page that are later than now, and holds them
	// against the meter they are from.
	goesOn := func(after string) {
		t.Helper()
		least := with.meter.read()
		require.Eventually(t, func() bool {
			return page.Number("#dlm-payments dd") > least.Payments && page.Number("#dlm-quotes dd") > least.Quotes
		}, within, 50*time.Millisecond, after)
		requests, most := page.Number("#dlm-requests dd"), with.meter.read()
		require.Greater(t, requests, least.Requests, after)
		require.LessOrEqual(t, requests, most.Requests, after)
		require.Equal(t, "0", page.Text("#dlm-overlaps dd"), after)
		require.Equal(t, "0", page.Text("#dlm-lost dd"), after)
	}
	becomes := func(selector, want string) {
		t.Helper()
		require.Eventually(t, func() bool { return page.Text(selector) == want }, within, 50*time.Millisecond, "%s: %s, not %s", selector, page.Text(selector), want)
	}
	button := func(list string, i int, action string) {
		t.Helper()
		page.Press(fmt.Sprintf("#%s li:nth-child(%d) [data-action=%s]", list, i, action))
	}
	state := func(list string, i int) string { return fmt.Sprintf("#%s li:nth-child(%d) .state", list, i) }

	goesOn("the load began")
	require.Equal(t, "live", page.Text("#link"))
	require.Eventually(t, func() bool { return page.Number("#bare-overlaps dd") > 0 }, within, 50*time.Millisecond, "without dlm payments overlap")
	require.Eventually(t, func() bool { return 5*page.Number("#dlm-quotes dd") < page.Number("#bare-quotes dd") }, within, 50*time.Millisecond,
		"a quote is made for all who wait for it")

	button("nodes", 1, "kill")
	becomes(state("nodes", 1), down)
	button("nodes", 2, "freeze")
	becomes(state("nodes", 2), frozen)
	require.Equal(t, frozen, v.nodes.members[1].now())
	goesOn("two of five nodes are gone")

	button("processes", 2, "kill")
	becomes(state("processes", 2), "dead")
	require.False(t, v.fleet.all()[1].alive())
	goesOn("a server process is gone too")

	button("nodes", 1, "restart")
	becomes(state("nodes", 1), running)
	button("nodes", 2, "thaw")
	becomes(state("nodes", 2), running)
	button("processes", 2, "start")
	becomes(state("processes", 2), "alive")
	goesOn("all is mended")
	require.Empty(t, page.Text("#trouble"))
}

// pressed does what a button of the page does.
func pressed(t *testing.T, v *view, kind string, index int, action string, edit ...func(*http.Request)) int {
	t.Helper()
	form := url.Values{"kind": {kind}, "index": {fmt.Sprint(index)}, "action": {action}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.url+"/act", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, e := range edit {
		e(r)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

// The same without a browser, on redis-server processes: killed by kill -9,
// frozen by SIGSTOP.
func TestButtonsOnRealServers(t *testing.T) {
	v := staying(t, true)
	require.True(t, v.audience.enter())
	defer v.audience.leave()
	with := v.load.sides[1]
	goesOn := func(after string) {
		t.Helper()
		least := with.meter.read()
		require.Eventually(t, func() bool {
			now := with.meter.read()
			return now.Payments > least.Payments+orders && now.Quotes > least.Quotes && now.Stored > least.Stored
		}, within, time.Millisecond, after)
	}
	goesOn("the load began")
	for _, b := range []struct {
		kind   string
		index  int
		action string
		status int
	}{
		{"node", 0, "kill", http.StatusNoContent},
		{"node", 0, "freeze", http.StatusConflict},
		{"node", 1, "freeze", http.StatusNoContent},
		{"process", 0, "kill", http.StatusNoContent},
		{"node", 0, "restart", http.StatusNoContent},
		{"node", 1, "thaw", http.StatusNoContent},
		{"process", 0, "start", http.StatusNoContent},
		{"process", 0, "start", http.StatusNoContent},
		{"node", 0, "explode", http.StatusConflict},
		{"node", ownNodes, "kill", http.StatusNotFound},
		{"process", 0, "freeze", http.StatusNotFound},
	} {
		require.Equal(t, b.status, pressed(t, v, b.kind, b.index, b.action), "%+v", b)
		if b.status == http.StatusNoContent {
			goesOn(fmt.Sprintf("%+v", b))
		}
	}
}

// Nobody else's page, and no page of another name for this address, presses
// a button.
func TestButtonsAreForThisPageOnly(t *testing.T) {
	v := staying(t, false)
	origin := func(o string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Origin", o); r.Header.Set("Sec-Fetch-Site", "cross-site") }
	}
	require.Equal(t, http.StatusForbidden, pressed(t, v, "node", 0, "kill", origin("http://evil.example")))
	host := func(r *http.Request) { r.Host = "evil.example"; r.Header.Set("Origin", "http://evil.example") }
	require.Equal(t, http.StatusMisdirectedRequest, pressed(t, v, "node", 0, "kill", host))
	require.Equal(t, running, v.nodes.members[0].now())
}

// What the demo did not start it does not touch, and the demo that ends with its
// bursts lets nothing be broken.
func TestButtonsThatDoNothing(t *testing.T) {
	v := &view{stays: true, loading: true, nodes: &nodes{members: givenMembers([]string{"redis://user:secret@a:1", "unix:///run/redis"})}}
	require.ErrorIs(t, v.act(t.Context(), "node", 0, "kill"), errGiven)
	require.Equal(t, "a:1", v.nodes.members[0].addr, "no credentials are shown")
	require.Equal(t, "/run/redis", v.nodes.members[1].addr)
	v.stays = false
	require.ErrorContains(t, v.act(t.Context(), "process", 0, "kill"), "make demo BROWSER=1")
}

// A run of a killed process is no overlap for those that come after.
func TestWitnessBuriesTheDead(t *testing.T) {
	w, err := startWitness()
	require.NoError(t, err)
	defer func() { require.NoError(t, w.Close()) }()
	var seen []sighting
	w.watch(func(s sighting) { seen = append(seen, s) })
	client := &http.Client{}
	defer client.CloseIdleConnections()
	dead, alive := testimony{w.url, "gin#1", client}, testimony{w.url, "gin#4", client}
	_, err = dead.enter("k")
	require.NoError(t, err)
	w.bury("gin#1")
	balance, err := alive.work(t.Context(), "k", 0)
	require.NoError(t, err)
	require.Equal(t, 1, balance)
	require.NoError(t, dead.leave("k", "1"), "its last words change nothing")
	for _, s := range seen {
		require.False(t, s.overlaps || s.overwrote, "%+v", s)
	}
	require.Len(t, seen, 3)
}
