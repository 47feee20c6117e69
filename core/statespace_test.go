package core

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Every interleaving within the bounds named in statespace_explore_test.go.
// The larger the deployment the fewer the faults at once, so that all of it
// takes seconds; proposals are all alike, the worst case, unless clocks is set.
var soundScenarios = map[string]scenario{
	"2 on 2": {nodes: 2, contenders: 2, block: 2, spread: 2, repeats: true, renewals: true},
	"2 on 3": {nodes: 3, contenders: 2, block: 1, spread: 1, repeats: true, prompt: true},
	"2 on 4": {nodes: 4, contenders: 2, block: 1, spread: 1, prompt: true},
	"2 on 5": {nodes: 5, contenders: 2, block: 1, spread: 1, prompt: true},
	"3 on 2": {nodes: 2, contenders: 3, block: 1, spread: 1},
	"3 on 3": {nodes: 3, contenders: 3, block: 1, prompt: true},
	"3 on 4": {nodes: 4, contenders: 3, block: 1, prompt: true},
	"3 on 5": {nodes: 5, contenders: 3, block: 1, prompt: true},

	"claims, 2 on 2": {nodes: 2, contenders: 2, block: 1, spread: 2, claims: true},
	"claims, 2 on 3": {nodes: 3, contenders: 2, block: 1, spread: 1, claims: true, prompt: true},
	"claims, 2 on 4": {nodes: 4, contenders: 2, block: 1, claims: true, prompt: true},
	"claims, 3 on 2": {nodes: 2, contenders: 3, block: 1, claims: true, prompt: true},

	"claims repeated, 2 on 2":     {nodes: 2, contenders: 2, block: 1, spread: 1, claims: true, repeats: true},
	"claims repeated, 2 on 3":     {nodes: 3, contenders: 2, block: 1, claims: true, repeats: true, prompt: true},
	"repeated while renewing":     {nodes: 3, contenders: 2, block: 1, repeats: true, renewals: true, prompt: true},
	"repeated where data is lost": {nodes: 3, contenders: 2, block: 1, clocks: true, repeats: true, losses: 1, prompt: true},

	"late messages":            {nodes: 3, contenders: 2, block: 1},
	"blocks":                   {nodes: 3, contenders: 2, block: 2, spread: 1, prompt: true},
	"clocks":                   {nodes: 3, contenders: 2, block: 1, spread: 1, clocks: true, prompt: true},
	"renewals":                 {nodes: 3, contenders: 2, block: 1, renewals: true, prompt: true},
	"clocks jump":              {nodes: 3, contenders: 2, block: 1, spread: 1, clocksJump: true, prompt: true},
	"lost data":                {nodes: 3, contenders: 2, block: 1, clocks: true, losses: 2, prompt: true},
	"lost data, claims":        {nodes: 3, contenders: 2, block: 1, clocks: true, claims: true, losses: 1, prompt: true},
	"old snapshots":            {nodes: 3, contenders: 2, block: 1, clocks: true, losses: 1, rewinds: true, prompt: true},
	"old snapshots, claims":    {nodes: 3, contenders: 2, block: 1, clocks: true, claims: true, losses: 1, rewinds: true, prompt: true},
	"old snapshots, renewals":  {nodes: 3, contenders: 2, block: 1, clocks: true, renewals: true, losses: 1, rewinds: true, prompt: true},
	"lost data while renewing": {nodes: 3, contenders: 2, block: 1, clocks: true, renewals: true, losses: 1, prompt: true},
}

func TestNoInterleavingBreaksThePromises(t *testing.T) {
	t.Parallel()
	for name, sc := range soundScenarios {
		t.Run(name, func(t *testing.T) {
			states, found := explore(sc)
			require.Nil(t, found, "%v", found)
			require.Greater(t, states, 100, "the contenders got nowhere")
			t.Logf("%d states", states)
		})
	}
}

// Each piece of the protocol is needed: without it the same exploration finds
// what goes wrong, and logs the shortest way there.
func TestWithoutOnePieceAPromiseBreaks(t *testing.T) {
	t.Parallel()
	base := scenario{nodes: 3, contenders: 2, block: 1, prompt: true}
	for name, missing := range map[string]struct {
		change func(*scenario)
		broken string
	}{
		"the ownership guard of a raise": {
			func(sc *scenario) { sc.rules.raiseUnguarded, sc.clocksJump, sc.spread = true, true, 1 }, "given twice"},
		"the raise": {
			func(sc *scenario) { sc.rules.raiseSkipped, sc.spread = true, 1 }, "had been given"},
		"a block of one's own": {
			func(sc *scenario) { sc.rules.sameBlock, sc.claims = true, true }, "had been given"},
		"that a late acquire never shortens": {
			func(sc *scenario) { sc.rules.topUpShortens, sc.renewals = true, true }, "two owners"},
		"the quarantine": {
			func(sc *scenario) { sc.rules.noQuarantine, sc.losses, sc.clocks = true, 1, true }, "two owners"},
		"a quarantine in which no lease is topped up, while renewing": {
			func(sc *scenario) { sc.rules.topUpBanned, sc.losses, sc.clocks, sc.renewals = true, 1, true, true }, "two owners"},
		"a quarantine in which no lease is topped up, with claims": {
			func(sc *scenario) { sc.rules.topUpBanned, sc.losses, sc.clocks, sc.claims = true, 1, true, true }, "two owners"},
		"that a server executes only what was sent to it": {
			func(sc *scenario) { sc.rules.staleBallot, sc.losses, sc.rewinds, sc.clocks = true, 1, true, true }, "two owners"},
		// No piece of the protocol but its limit: a node that lost its counters
		// leaves the order of tokens to the clocks.
		"clocks that run forward, where data was lost": {
			func(sc *scenario) { sc.rules.clockSetBack, sc.losses = true, 1 }, "had been given"},
	} {
		t.Run(name, func(t *testing.T) {
			sc := base
			missing.change(&sc)
			states, found := explore(sc)
			require.NotNil(t, found, "nothing in %d states", states)
			require.Contains(t, found.promise, missing.broken)
			t.Logf("%d states\n%v", states, found)
		})
	}
}
