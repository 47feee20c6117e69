package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// inside is what a server process says of itself on its debug page.
type inside struct {
	Voting   int    `json:"voting"`
	Held     int    `json:"held"`
	Waiting  int    `json:"waiting"`
	Acquired uint64 `json:"acquired"`
	Handed   uint64 `json:"handed_over"`
	Lost     uint64 `json:"lost"`
	Nodes    []struct {
		Node   string `json:"node"`
		Voting bool   `json:"voting"`
		Reason string `json:"reason"`
	} `json:"nodes"`
	Caches []struct {
		Name     string  `json:"name"`
		HitRatio float64 `json:"hit_ratio"`
	} `json:"caches"`
}

// askTime is how long a process may take to say it.
const askTime = 900 * time.Millisecond

// lookInside asks all processes at once; those that do not answer give nil.
func (f *fleet) lookInside(ctx context.Context) []*inside {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	processes := f.all()
	answers := make([]*inside, len(processes))
	var all sync.WaitGroup
	for i, p := range processes {
		if !p.alive() {
			continue
		}
		all.Go(func() {
			body, resp, err := f.do(ctx, http.MethodGet, p.url+debugPath, "Accept", "application/json")
			said := &inside{}
			if err == nil && resp.StatusCode == http.StatusOK && json.Unmarshal([]byte(body), said) == nil {
				answers[i] = said
			}
		})
	}
	all.Wait()
	return answers
}

// awaitVotes returns when every living process counts on the votes of so many
// nodes: before that no load balancer would send it a request.
func (f *fleet) awaitVotes(ctx context.Context, nodes int) error {
	for {
		ready := true
		for i, said := range f.lookInside(ctx) {
			ready = ready && (said != nil && said.Voting >= nodes || !f.all()[i].alive())
		}
		if ready {
			return nil
		}
		pause(ctx, 20*time.Millisecond)
		if err := context.Cause(ctx); err != nil {
			return fmt.Errorf("not every server has met %d nodes: %w", nodes, err)
		}
	}
}
