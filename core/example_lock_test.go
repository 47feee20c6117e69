package core_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
)

func ExampleLock_Context() {
	m, end := exampleManager()
	defer end()
	lock, err := m.Acquire(context.Background(), "k", core.WithTTL(100*time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	work := lock.Context() // give it to everything that is done under the lock
	<-work.Done()          // not renewed, so it ends before anybody else can have the lock
	fmt.Println(work.Err(), "-", context.Cause(work))
	fmt.Println(errors.Is(lock.Release(context.Background()), core.ErrExpired))
	// Output:
	// context canceled - lock lost
	// true
}

func ExampleLock_Release() {
	m, end := exampleManager()
	defer end()
	ctx, cancel := context.WithCancel(context.Background())
	lock, err := m.Acquire(ctx, "k")
	if err != nil {
		log.Fatal(err)
	}
	cancel() // the request was given up; the lock is released all the same
	fmt.Println(lock.Release(ctx), lock.Release(ctx))
	fmt.Println(m.IsLocked(context.Background(), "k"))
	// Output:
	// <nil> <nil>
	// false <nil>
}

func ExampleManager_IsLocked() {
	m, end := exampleManager()
	defer end()
	ctx := context.Background()
	fmt.Println(m.IsLocked(ctx, "k"))
	lock, err := m.Acquire(ctx, "k")
	if err != nil {
		log.Fatal(err)
	}
	defer lock.Release(ctx) //nolint:errcheck // its lease ends in any case
	fmt.Println(m.IsLocked(ctx, "k"))
	// Output:
	// false <nil>
	// true <nil>
}

func ExampleManager_Close() {
	m, end := exampleManager()
	defer end()
	lock, err := m.Acquire(context.Background(), "k")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Close(), "and released:", lock.Context().Err())
	_, err = m.Acquire(context.Background(), "k")
	fmt.Println(errors.Is(err, core.ErrClosed))
	// Output:
	// <nil> and released: context canceled
	// true
}

// "Somebody else holds it" and "Redis is down" are never the same error.
func ExampleQuorumError() {
	nodes, err := coretest.StartEmbedded(3)
	if err != nil {
		log.Fatal(err)
	}
	defer nodes.Close()
	m, err := core.New(core.Config{Nodes: nodes.URLs(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	_ = nodes.Node(0).Kill()
	_ = nodes.Node(1).Kill()

	_, err = m.TryAcquire(context.Background(), "k")
	fmt.Println(errors.Is(err, core.ErrNotAcquired), errors.Is(err, core.ErrNoQuorum))
	var quorum *core.QuorumError
	if errors.As(err, &quorum) {
		fmt.Println("needed:", quorum.Need, "failed:", len(quorum.Nodes)) // each with its reason
	}
	// Output:
	// false true
	// needed: 2 failed: 2
}

func ExampleWithMetadata() {
	m, end := exampleManager()
	defer end()
	ctx := context.Background()
	// Options go before or after each other, and hold for one call.
	err := m.Do(ctx, "import", func(ctx context.Context) error {
		info, err := m.Inspect(ctx, "import")
		fmt.Println(info.Metadata)
		return err
	}, core.WithMetadata("host-7 pid 4711"), core.WithTTL(10*time.Second), core.WithWait(time.Second),
		core.WithMaxHold(time.Minute), core.WithRetry(50*time.Millisecond, 10))
	fmt.Println(err)
	// Output:
	// host-7 pid 4711
	// <nil>
}
