package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/core/telemetry"
)

// The global providers are used unless Config names others: set them up with
// the OpenTelemetry SDK, as examples/metrics does for Prometheus.
func Example() {
	nodes, err := coretest.StartEmbedded(3)
	if err != nil {
		panic(err)
	}
	defer nodes.Close()

	observer, err := telemetry.New(telemetry.Config{})
	if err != nil {
		panic(err)
	}
	locks, err := core.New(core.Config{Nodes: nodes.URLs(), Observer: observer})
	if err != nil {
		panic(err)
	}
	defer locks.Close()
	stop, err := observer.WatchManager(locks)
	if err != nil {
		panic(err)
	}
	defer stop() //nolint:errcheck // end of the program

	err = locks.Do(context.Background(), "order_42", func(context.Context) error { return nil })
	fmt.Println(err)
	// Output: <nil>
}

func ExampleObserver_WatchCache() {
	observer, err := telemetry.New(telemetry.Config{})
	if err != nil {
		panic(err)
	}
	memory := cache.NewMemory(64 << 20)
	quotes, err := cache.New[string](cache.Config{Store: memory, Fresh: 1e9})
	if err != nil {
		panic(err)
	}
	defer quotes.Close()

	stopCache, err1 := observer.WatchCache("quotes", quotes.Stats)
	stopMemory, err2 := observer.WatchMemory("quotes", memory.Usage)
	fmt.Println(err1, err2, stopCache(), stopMemory())
	// Output: <nil> <nil> <nil> <nil>
}

func ExampleFetch() {
	observer, err := telemetry.New(telemetry.Config{})
	if err != nil {
		panic(err)
	}
	fetch := telemetry.Fetch(observer, "quotes", func(context.Context) (string, error) { return "17.50", nil })
	fmt.Println(fetch(context.Background()))
	// Output: 17.50 <nil>
}

func ExampleObserver_OnFetch() {
	nodes, err := coretest.StartEmbedded(1)
	if err != nil {
		panic(err)
	}
	defer nodes.Close()
	observer, err1 := telemetry.New(telemetry.Config{})
	locks, err2 := core.New(core.Config{Nodes: nodes.URLs(), Observer: observer})
	quotes, err3 := guard.New(guard.Config{
		Locks: locks, Fresh: time.Second, OnFetch: observer.OnFetch("quotes"),
		Key: func(r *http.Request) (string, error) { return "quote_" + r.PathValue("symbol"), nil },
	})
	if err := errors.Join(err1, err2, err3); err != nil {
		panic(err)
	}
	defer locks.Close()
	defer quotes.Close()
	stopCache, err1 := observer.WatchCache("quotes", quotes.Stats)
	stopMemory, err2 := observer.WatchMemory("quotes", quotes.Usage)
	fmt.Println(err1, err2, stopCache(), stopMemory())
	// Output: <nil> <nil> <nil> <nil>
}
