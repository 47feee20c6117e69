package core_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// exampleManager is a Manager on three Redis servers made for the example.
func exampleManager() (m *core.Manager, end func()) {
	nodes, err := coretest.StartEmbedded(3)
	if err != nil {
		log.Fatal(err)
	}
	m, err = core.New(core.Config{Nodes: nodes.URLs()})
	if err != nil {
		log.Fatal(err)
	}
	return m, func() { _ = errors.Join(m.Close(), nodes.Close()) }
}

func ExampleNew() {
	_, err := core.New(core.Config{
		Nodes: []string{"redis://node1:6379", "redis://node1:6379/2", "http://node3"},
		TTL:   30 * time.Second,
		Wait:  5 * time.Second,
	})
	fmt.Println(err)
	// Output:
	// dlm: invalid argument: Nodes[1]: node1:6379 is already Nodes[0]: every node must be an independent Redis
	// Nodes[2]: scheme "http": use redis://, rediss:// or unix://
}

func ExampleManager_Acquire() {
	m, end := exampleManager()
	defer end()
	ctx := context.Background()
	lock, err := m.Acquire(ctx, "my_resource", core.WithWait(5*time.Second))
	if err != nil {
		return // errors.Is(err, core.ErrNotAcquired), or core.ErrNoQuorum
	}
	defer lock.Release(ctx) //nolint:errcheck // its lease ends in any case
	fmt.Println("only one at a time, from here to the end:", lock.Key())
	// Output: only one at a time, from here to the end: my_resource
}

func ExampleManager_TryAcquire() {
	m, end := exampleManager()
	defer end()
	ctx := context.Background()
	first, _ := m.TryAcquire(ctx, "report")
	_, err := m.TryAcquire(ctx, "report")
	fmt.Println(errors.Is(err, core.ErrNotAcquired), errors.Is(err, core.ErrNoQuorum))
	fmt.Println(first.Release(ctx))
	// Output:
	// true false
	// <nil>
}

func ExampleManager_Do() {
	m, end := exampleManager()
	defer end()
	err := m.Do(context.Background(), "long_task", func(ctx context.Context) error {
		fmt.Println("renewed for as long as this runs;", ctx.Err())
		return nil
	}, core.WithTTL(5*time.Second), core.WithMaxHold(time.Minute))
	fmt.Println(err)
	// Output:
	// renewed for as long as this runs; <nil>
	// <nil>
}

func ExampleGuarded() {
	m, end := exampleManager()
	defer end()
	// One operation per user at a time, in the whole fleet.
	operation := core.Guarded(m,
		func(userID int) (string, error) { return fmt.Sprintf("critical_operation_%d", userID), nil },
		func(_ context.Context, userID int) (string, error) { return fmt.Sprint("done for ", userID), nil },
		core.WithWait(5*time.Second),
	)
	fmt.Println(operation(context.Background(), 42))
	// Output: done for 42 <nil>
}

func ExampleLock_Extend() {
	m, end := exampleManager()
	defer end()
	ctx := context.Background()
	lock, _ := m.Acquire(ctx, "long_task", core.WithTTL(5*time.Second))
	before := lock.Until()
	fmt.Println(lock.Extend(ctx, 5*time.Second), lock.Until().After(before))
	_ = lock.Release(ctx)
	fmt.Println(errors.Is(lock.Extend(ctx, 5*time.Second), core.ErrNotOwner))
	// Output:
	// <nil> true
	// true
}

func ExampleLock_Renew() {
	m, end := exampleManager()
	defer end()
	ctx := context.Background()
	lock, _ := m.Acquire(ctx, "k", core.WithTTL(time.Hour))
	defer lock.Release(ctx)                   //nolint:errcheck // its lease ends in any case
	fmt.Println(lock.Renew(ctx, time.Minute)) // shorter from now on
	fmt.Println(time.Until(lock.Until()) < time.Minute)
	// Output:
	// <nil>
	// true
}

func ExampleManager_Inspect() {
	m, end := exampleManager()
	defer end()
	ctx := context.Background()
	lock, _ := m.Acquire(ctx, "my_lock", core.WithMetadata("nightly report"))
	info, _ := m.Inspect(ctx, "my_lock")
	fmt.Println(info.Owner == lock.Owner(), info.Metadata)
	_ = lock.Release(ctx)
	fmt.Println(m.IsLocked(ctx, "my_lock"))
	// Output:
	// true nightly report
	// false <nil>
}

func ExampleManager_Stats() {
	m, end := exampleManager()
	defer end()
	lock, _ := m.Acquire(context.Background(), "k")
	fmt.Println(m.Stats().Held, m.Stats().Quorum)
	_ = lock.Release(context.Background())
	// Output: 1 2
}

func ExampleManager_Health() {
	m, end := exampleManager()
	defer end()
	h, err := m.Health(context.Background())
	fmt.Println(h.Voting, "of", len(h.Nodes), err)
	// Output: 3 of 3 <nil>
}

func ExampleSetDefault() {
	m, end := exampleManager()
	defer end()
	core.SetDefault(m)
	fmt.Println(core.Default().Do(context.Background(), "k", func(context.Context) error { return nil }))
	// Output: <nil>
}

// ledger is a resource that the lock protects, and that protects itself: it
// refuses a token lower than one it has seen.
type ledger struct {
	mu      sync.Mutex
	highest uint64
	entries []string
}

func (l *ledger) Write(token uint64, entry string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if token < l.highest {
		return errors.New("a later holder has been here")
	}
	l.highest = token
	l.entries = append(l.entries, entry)
	return nil
}

// The first holder is suspended past its lease and does not know it. What it
// writes then is refused by the ledger, which no lock could have done.
func ExampleLock_FencingToken() {
	m, end := exampleManager()
	defer end()
	ctx, book := context.Background(), &ledger{}
	suspended, _ := m.Acquire(ctx, "ledger", core.WithTTL(50*time.Millisecond))
	successor, _ := m.Acquire(ctx, "ledger")
	fmt.Println(book.Write(successor.FencingToken(), "successor"))
	fmt.Println(book.Write(suspended.FencingToken(), "suspended"))
	fmt.Println(book.entries, successor.Release(ctx))
	// Output:
	// <nil>
	// a later holder has been here
	// [successor] <nil>
}

func ExampleFromContext() {
	m, end := exampleManager()
	defer end()
	book := &ledger{}
	err := m.Do(context.Background(), "ledger", func(ctx context.Context) error {
		lock, _ := core.FromContext(ctx)
		return book.Write(lock.FencingToken(), "entry")
	})
	fmt.Println(book.entries, err)
	// Output: [entry] <nil>
}

// WRONG: the work ignores the lock's context, so it goes on when the lock is
// lost, beside the next holder. Take the context that fn is given, and give the
// fencing token to what is written to.
func ExampleManager_Do_incorrect() {
	m, end := exampleManager()
	defer end()
	ctx := context.Background()
	err := m.Do(ctx, "k", func(locked context.Context) error {
		<-locked.Done()                    // MaxHold is over and the lease with it,
		fmt.Fprintln(os.Stdout, ctx.Err()) // but this context knows nothing of it.
		return nil
	}, core.WithTTL(50*time.Millisecond), core.WithMaxHold(0))
	fmt.Println(errors.Is(err, core.ErrExpired))
	// Output:
	// <nil>
	// true
}
