package wire

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// What was given up while the server told that it does not know the script is no
// fault of the server's, and is not run after all; nor is what was given up while it
// was in the queue.
func TestRoutedRunsNothingThatWasGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		askedBefore int // how often the call is not yet given up
		notSent     bool
	}{
		"in the queue":                    {0, true},
		"while the script was not known":  {1, true},
		"never, so it runs in the second": {2, false},
	} {
		t.Run(name, func(t *testing.T) {
			node := coretest.Embedded(t, 1)
			client := node.Clients()[0]
			defer client.Close()
			r, box := NewRouted(client), newInbox()
			box.came = make(chan struct{}, 2)
			asked := 0 // by the sender alone
			given := call(box, 0)
			given.Req.Script = NewScript("return redis.call('SET', KEYS[1], ARGV[1]) and 1")
			given.Abandoned = func(int) bool { asked++; return asked > c.askedBefore }
			r.Send(time.Now(), given)
			r.Start()
			defer r.Close(0)
			<-box.came
			reply := box.replies[0]
			if !c.notSent {
				require.NoError(t, reply.Err)
				require.Equal(t, []string{"key"}, node.Node(0).Keys("key"))
				return
			}
			require.ErrorIs(t, reply.Err, ErrAbandoned)
			require.ErrorIs(t, reply.Err, ErrNotSent)
			require.Empty(t, node.Node(0).Keys("key"))
		})
	}
}
