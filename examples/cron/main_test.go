//go:build unix

package main

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/examples/internal/subprocess"
)

func TestMain(m *testing.M) { subprocess.Main(m, main) }

func TestEachTickOnceInTheFleet(t *testing.T) {
	t.Setenv("REDIS_NODES", strings.Join(coretest.Redis(t, 3).URLs(), ","))
	fleet := make([]*subprocess.Process, 4)
	for i := range fleet {
		fleet[i] = subprocess.Start(t, "-every=100ms")
	}
	for _, p := range fleet {
		p.Await("known ")
	}
	// One goes in the middle of it; what it had begun it finishes.
	fleet[0].Signal(syscall.SIGTERM)
	_, err := fleet[0].Wait()
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(ticks(fleet[1:], "known ")) >= 10 }, 30*time.Second, time.Millisecond)
	for _, p := range fleet[1:] {
		p.Signal(syscall.SIGTERM)
	}
	for _, p := range fleet[1:] {
		stderr, err := p.Wait()
		require.NoError(t, err, stderr)
	}

	made, known := ticks(fleet, "made "), ticks(fleet, "known ")
	shared := 0
	for tick, by := range known {
		require.Len(t, made[tick], 1, "tick %s", tick)
		for _, process := range by {
			require.Equal(t, made[tick][0], process, "tick %s", tick)
		}
		if len(by) > 1 {
			shared++
		}
	}
	require.Len(t, made, len(known), "every report became known")
	require.Positive(t, shared, "the processes met at no tick")
}

// ticks are the processes named in the lines with a prefix, by tick.
func ticks(fleet []*subprocess.Process, prefix string) map[string][]string {
	found := map[string][]string{}
	for _, p := range fleet {
		for _, line := range p.Lines() {
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				tick, by, _ := strings.Cut(rest, " by ")
				found[tick] = append(found[tick], by)
			}
		}
	}
	return found
}

func TestFailedJobIsTriedByAnother(t *testing.T) {
	t.Setenv("REDIS_NODES", strings.Join(coretest.Embedded(t, 3).URLs(), ","))
	calls := make(chan time.Time)
	job := func(_ context.Context, tick time.Time) (report, error) {
		calls <- tick
		return report{}, errors.New("no paper")
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for range 2 {
		go func() { ended <- run(ctx, 200*time.Millisecond, job) }()
	}
	tried := map[time.Time]int{}
	for again := false; !again; {
		tick := <-calls
		tried[tick]++
		again = tried[tick] == 2
	}
	stop()
	for left := 2; left > 0; {
		select {
		case <-calls:
		case err := <-ended:
			require.NoError(t, err)
			left--
		}
	}
}
