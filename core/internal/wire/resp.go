package wire

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // Redis names scripts by SHA-1
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Script is Lua source and the name Redis knows it by.
type Script struct {
	source, sha string
	joint       *Script // see NewJointScript; nil: each run goes by itself
}

// NewScript names the source.
func NewScript(source string) *Script {
	sum := sha1.Sum([]byte(source)) //nolint:gosec // not for secrecy
	return &Script{source: source, sha: hex.EncodeToString(sum[:])}
}

// NewJointScript is NewScript of each, whose runs may be done by joint when several
// of them wait to be sent. They must have the first argument to themselves and
// share the others, and stand being executed after calls about other keys that
// were sent later. joint gets the first keys of all, the second keys of all and so on,
// then the first argument of each and the shared ones; it returns what each of them would
// return, or one integer where that is the same for all.
func NewJointScript(each, joint string) *Script {
	s := NewScript(each)
	s.joint = NewScript(joint)
	return s
}

// Joint is the script that does many runs, or nil.
func (s *Script) Joint() *Script { return s.joint }

// Request is one run of a script. It may be sent to many nodes and must not
// change afterwards.
type Request struct {
	Script *Script
	Keys   []string
	Args   []string
	Whole  bool      // a script goes with its source, so that it never has to be sent again
	claim  []byte    // encoded, instead of a script
	hash   uint64    // of the first key, for joint runs and what must not overtake them
	room   [6]string // enough for a release; an acquire script's words take memory of their own
}

// NewRequest copies words, the first keys of which are keys.
func NewRequest(s *Script, keys int, words ...string) *Request {
	r := new(Request)
	r.Run(s, keys, words...)
	return r
}

// Run makes r a run of the script and copies words, the first keys of which are
// keys. What r was before must have been answered by every node it was sent to.
func (r *Request) Run(s *Script, keys int, words ...string) {
	all := append(r.room[:0], words...)
	r.Script, r.Keys, r.Args, r.claim = s, all[:keys:keys], all[keys:], nil
	if s.joint != nil && keys > 0 {
		r.hash = hashOf(all[0])
	}
}

// ServerError is an error reply: the command reached the server, which refused it.
type ServerError string

func (e ServerError) Error() string { return string(e) }

func (e ServerError) noScript() bool { return strings.HasPrefix(string(e), "NOSCRIPT") }

func (e ServerError) readOnly() bool { return strings.HasPrefix(string(e), "READONLY") }

// Reply is what came back. Items is valid during the callback only.
type Reply struct {
	Err      error
	Claim    bool // of a Claim
	Repeated bool // to a call that was sent twice, see Repeater
	Int      int64
	Text     string
	Items    []Reply
}

// append encodes the request.
func (r *Request) append(b []byte, tail Tail) []byte {
	if r.claim != nil {
		return appendBulk(append(b, r.claim...), tail.Arg)
	}
	return appendRun(b, r, tail, r.Whole)
}

// appendRun encodes the run of a script, whole with its source, otherwise by its name.
func appendRun(b []byte, req *Request, tail Tail, whole bool) []byte {
	keys, args := len(req.Keys), len(req.Args)
	if tail.Key != "" {
		keys++
	}
	if tail.Arg != "" {
		args++
	}
	b = appendRunHead(b, req.Script, keys, args, whole)
	for _, k := range req.Keys {
		b = appendBulk(b, k)
	}
	if tail.Key != "" {
		b = appendBulk(b, tail.Key)
	}
	for _, a := range req.Args {
		b = appendBulk(b, a)
	}
	if tail.Arg != "" {
		b = appendBulk(b, tail.Arg)
	}
	return b
}

func appendRunHead(b []byte, s *Script, keys, args int, whole bool) []byte {
	b = append(b, '*')
	b = strconv.AppendInt(b, int64(3+keys+args), 10)
	b = append(b, "\r\n"...)
	if whole {
		b = appendBulk(b, "EVAL")
		b = appendBulk(b, s.source)
	} else {
		b = appendBulk(b, "EVALSHA")
		b = appendBulk(b, s.sha)
	}
	return appendBulkInt(b, uint64(keys)) //nolint:gosec // a length
}

func appendCommand(b []byte, args ...string) []byte {
	b = append(b, '*')
	b = strconv.AppendInt(b, int64(len(args)), 10)
	b = append(b, "\r\n"...)
	for _, a := range args {
		b = appendBulk(b, a)
	}
	return b
}

func appendBulk[S string | []byte](b []byte, s S) []byte {
	b = append(b, '$')
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, "\r\n"...)
	b = append(b, s...)
	return append(b, "\r\n"...)
}

// Bounds on what a peer can make us read: our scripts answer with numbers, a
// record of at most a few KiB, and INFO.
const (
	maxBulk  = 1 << 20
	maxItems = 1 << 16
	maxDepth = 4
)

var errProtocol = errors.New("not a Redis reply")

// readReply reads one RESP2 reply.
// https://redis.io/docs/latest/develop/reference/protocol-spec/
func readReply(r *bufio.Reader) (Reply, error) { return readNested(r, 0) }

func readNested(r *bufio.Reader, depth int) (Reply, error) {
	line, err := readLine(r)
	if err != nil {
		return Reply{}, err
	}
	switch line[0] {
	case '+':
		if string(line[1:]) == "OK" {
			return Reply{Text: "OK"}, nil // without a copy
		}
		return Reply{Text: string(line[1:])}, nil
	case '-':
		return Reply{Err: ServerError(line[1:])}, nil
	}
	n, err := parseInt(line[1:])
	if err != nil {
		return Reply{}, err
	}
	switch line[0] {
	case ':':
		return Reply{Int: n}, nil
	case '$':
		return readBulk(r, n)
	case '*':
		return readItems(r, n, depth)
	}
	return Reply{}, fmt.Errorf("%w: type %q", errProtocol, line[0])
}

func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return nil, errProtocol
	}
	return line[:len(line)-2], nil
}

// lineBuffered reports whether a reply of one line is here whole, so that reading
// it takes no time. readLine's '\n' is the end of such a reply.
func lineBuffered(r *bufio.Reader) bool {
	here, _ := r.Peek(r.Buffered())
	if len(here) == 0 || here[0] == '$' || here[0] == '*' {
		return false
	}
	return bytes.IndexByte(here, '\n') >= 0
}

// parseInt is strconv.ParseInt without the string.
func parseInt(b []byte) (int64, error) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 18 {
		return 0, errProtocol
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, errProtocol
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, nil
}

func readBulk(r *bufio.Reader, n int64) (Reply, error) {
	if n < 0 {
		return Reply{}, nil
	}
	if n > maxBulk {
		return Reply{}, fmt.Errorf("%w: %d bytes", errProtocol, n)
	}
	data := make([]byte, n+2)
	if _, err := io.ReadFull(r, data); err != nil {
		return Reply{}, err
	}
	if data[n] != '\r' || data[n+1] != '\n' {
		return Reply{}, errProtocol
	}
	return Reply{Text: string(data[:n])}, nil
}

func readItems(r *bufio.Reader, n int64, depth int) (Reply, error) {
	if n < 0 {
		return Reply{}, nil
	}
	if n > maxItems || depth >= maxDepth {
		return Reply{}, fmt.Errorf("%w: %d items", errProtocol, n)
	}
	items := make([]Reply, 0, min(n, 128))
	for range n {
		item, err := readNested(r, depth+1)
		if err != nil {
			return Reply{}, err
		}
		items = append(items, item)
	}
	return Reply{Items: items}, nil
}
