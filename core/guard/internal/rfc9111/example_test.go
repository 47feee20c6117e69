package rfc9111_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// A response is described when it is received, and asked about from then on.
func Example() {
	policy := rfc9111.Policy{Targets: []string{"CDN-Cache-Control"}}
	received := time.Date(2026, time.September, 1, 12, 0, 0, 0, time.UTC)
	exchange := rfc9111.Exchange{
		Method:  http.MethodGet,
		Request: http.Header{},
		Response: http.Header{
			"Cache-Control": {"max-age=60, stale-while-revalidate=30"},
			"Etag":          {`"v1"`},
		},
	}
	stored := policy.Describe(http.StatusOK, exchange.Response, received, received)
	fmt.Printf("refusal %q\n", policy.Refusal(&exchange, &stored))

	var client rfc9111.RequestDirectives // the client's wishes are not obeyed
	for _, age := range []time.Duration{30 * time.Second, 70 * time.Second, 100 * time.Second} {
		now := received.Add(age)
		status := rfc9111.CacheStatus{Cache: "dlm", TTL: stored.TTL(now), HasTTL: true}
		if client.Use(&stored.Freshness, now) == rfc9111.Forward {
			status.Fwd = rfc9111.FwdStale
		}
		fmt.Println(string(status.Append(nil)))
	}
	fmt.Println(stored.Revalidation(http.Header{}))
	// Output:
	// refusal ""
	// dlm;hit;ttl=30
	// dlm;hit;ttl=-10
	// dlm;fwd=stale;ttl=-40
	// map[If-None-Match:["v1"]]
}

func ExamplePolicy_Refusal() {
	policy := rfc9111.Policy{DefaultLifetime: time.Minute}
	response := http.Header{"Set-Cookie": {"session=1"}}
	stored := policy.Describe(http.StatusOK, response, time.Time{}, time.Now())
	fmt.Println(policy.Refusal(&rfc9111.Exchange{Method: http.MethodGet, Response: response}, &stored))
	// Output: set-cookie
}

func ExamplePlanPartial() {
	body := []byte("0123456789")
	partial := rfc9111.PlanPartial([]string{"bytes=-3"}, int64(len(body)), "text/plain")
	header := http.Header{}
	partial.SetHeader(header)
	fmt.Println(partial.Status, header.Get("Content-Range"), header.Get("Content-Length"))
	// Output: 206 bytes 7-9/10 3
}
