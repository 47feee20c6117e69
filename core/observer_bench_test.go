package core

import (
	"context"
	"testing"
)

// TestObserverCostsNothingWhenUnset holds the promise of Config.Observer.
func TestObserverCostsNothingWhenUnset(t *testing.T) {
	m := newManager(Config{Nodes: []string{"redis://localhost"}}.withDefaults())
	ctx, event := context.Background(), Event{Kind: EventAcquired, Key: "k"}
	if n := testing.AllocsPerRun(1000, func() { m.observe(ctx, event) }); n != 0 {
		t.Fatalf("%v allocations per event", n)
	}
}

// BenchmarkObserverUnset is what the hooks cost a program that has no Observer.
func BenchmarkObserverUnset(b *testing.B) {
	m := newManager(Config{Nodes: []string{"redis://localhost"}}.withDefaults())
	ctx, event := context.Background(), Event{Kind: EventAcquired, Key: "k"}
	b.ReportAllocs()
	for b.Loop() {
		m.observe(ctx, event)
	}
}
