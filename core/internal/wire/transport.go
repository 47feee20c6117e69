package wire

import (
	"errors"
	"fmt"
	"time"
)

// Receiver gets the reply of a Call, exactly once. Receive runs on the
// transport's goroutine, on that of a sender whose Call says Wait, or on its
// sender's when the call could not be sent; it must not block.
type Receiver interface {
	Receive(node int, r Reply)
}

// Tail is a last key and a last argument that differ from node to node, each
// left out when it is empty. A Claim has use for the argument only.
type Tail struct{ Key, Arg string }

// Call is one request on its way to one node.
type Call struct {
	Req  *Request
	Tail Tail
	To   Receiver
	Node int // handed back to To
	// Force sends to a node that is being left alone too: a release must stand
	// behind the acquire that may still be in the node's socket.
	Force bool
	// Wait says that the sender has nothing to do until the reply is there. Send
	// may then deliver replies, its own and others', on the sender's goroutine, which
	// must hold no lock that a Receiver takes, and return a little later.
	Wait bool
	// Abandoned, when set, is asked before the call is sent, and again before a run
	// is repeated because the server had forgotten the script: an abandoned acquire
	// must not follow its own release. What it knows of the server behind a new
	// connection, it knows before anything is sent on that. It must not lock anything.
	Abandoned func(node int) bool
}

// Transport sends calls in order: what is sent first is executed first, but for runs
// of a joint script, which claims of other keys may overtake.
type Transport interface {
	// Start begins to carry what is sent.
	Start()
	Send(now time.Time, c Call)
	// Close waits up to grace for the answers to what was sent.
	Close(grace time.Duration)
	// Commands is how many calls were answered.
	Commands() uint64
}

// ErrNotSent marks errors of calls that never left this process, so the server
// cannot have executed them.
var ErrNotSent = errors.New("not sent")

// ErrClosed is the error of calls after Close.
var ErrClosed = fmt.Errorf("%w: transport closed", ErrNotSent)

// notSent says why a call stayed here.
type notSent struct{ cause error }

func (e *notSent) Error() string   { return e.cause.Error() }
func (e *notSent) Unwrap() []error { return []error{ErrNotSent, e.cause} }

// SilentError says that a node is left alone because it stopped answering.
type SilentError struct{ For time.Duration }

func (e *SilentError) Error() string {
	return fmt.Sprintf("left alone: no answer for %v", e.For.Round(time.Millisecond))
}

// Timeout reports true, as of a net.Error.
func (e *SilentError) Timeout() bool { return true }

// ErrAbandoned is the error of a call that was given up before it was sent.
var ErrAbandoned = errors.New("given up before it was sent")

var errSaturated = errors.New("left alone: too many commands in flight")
