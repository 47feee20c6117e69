package guardtest

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shown is something said, with what fails if it is not so: behaviours of the
// table by their names, and tests as folder.TestName.
type shown struct {
	said string
	by   []string
}

// promises are the sentences of package guard's "What is promised".
var promises = []shown{
	{"Requests of different keys never wait for each other.", []string{
		"requests of different keys run at once", "different keys of a cached route run at once",
		"of 300 requests on one key as many wait as may, and other keys notice nothing"}},
	{"Of those that find nothing stored, one in the fleet runs the handler and the others share its response.", []string{
		"a cold key runs the handler once for everybody", "a cold key runs the handler once in the fleet",
		"losers share the winner's response with its headers", "core/cache.TestThousandColdCallersInFourProcesses"}},
	{"Whoever finds the lock taken gets the stale response at once where there is one, or waits, [Config.Wait] at most, and is refused then.", []string{
		"losers of the lock get the last response", "the end of the wait is 503 with Retry-After", "a loser of a cold key is refused at its deadline",
		"without a wait a request gets the lock that is free", "without a wait a request is refused whose key is taken",
		"the status of a refusal can be chosen", "OnContention answers"}},
	{"A client that goes away ends its own request and no other.", []string{
		"a client that goes away frees its lock", "a waiter that goes away leaves the queue", "the winner's client going away fails nobody",
		"a waiter of a cold key that goes away frees only itself", "200 waiters that hang up are gone"}},
	{"A panic, [http.ErrAbortHandler] and [runtime.Goexit] free the lock and everybody who waits for it, and go on to whoever expects them.", []string{
		"a panic frees the lock and passes through", "http.ErrAbortHandler frees the lock and cuts the connection", "runtime.Goexit frees the lock",
		"a panic of the winner hangs nobody", "runtime.Goexit of the winner hangs nobody", "a refresh that panics hurts nobody",
		"a response that breaks off is cut where nothing may stand in"}},
	{"A handler that asks for what it runs under is told of the deadlock within the process, and refused at the end of its wait over the network.", []string{
		"a request that already holds its lock is 500, not a wait", "a handler that calls its own cached route is told of the deadlock",
		"a handler that asks its own route over the network gets a refusal", "core/guard.TestRefreshThatAsksItsOwnRouteIsBounded"}},

	{"Nothing is stored that is not whole, that was made under a lost lock or before a purge, or that is not for everybody.", []string{
		"a response cut short is not stored", "a response made after its client has gone is not stored", "a panic after a flush cuts the response, which is not stored",
		"a response made under a lost lock is not stored", "a response made before a purge is not stored after it", "a 206 of the handler is not stored",
		"a 500 is not stored", "Vary: * is not stored", "fields of private= are not stored", "nethttplock.TestPanicRecoveredTooLate", "echolock.TestErrorBehindContent"}},
	{"What could not be stored is remembered, so that nobody queues for it.", []string{
		"a target that cannot be stored is not queued for", "a private response is not shared with those who waited",
		"events reach every client of a cached route while they stream"}},
	{"A stale response is refreshed once in the fleet, behind the client it was served to, and Close waits for that.", []string{
		"a stale response is served at once and refreshed behind it", "a stale response is refreshed once in the fleet", "Close waits for refreshes",
		"a refresh runs with the lock, without the client's values", "core/cache.TestBackgroundRefreshesAreBounded", "core/guard.TestRefreshEndsWithItsHandler"}},
	{"When a refresh fails the old response stays, and the handler is left alone for a while.", []string{
		"a stale response stands in for a server error", "a stale response stands in for what fails to answer a HEAD or a Range",
		"a stale response stands in for one cut short", "a stale response stands in for one that breaks off",
		"a stale response stands in when the lock is lost", "a stale response does not stand in for a panic", "must-revalidate is never served stale",
		"a stale response of another variant stands in for nothing"}},
	{"What was purged serves nobody any more, in no process and in place of no error.", []string{
		"a purge removes every variant and target of a key", "a purge by tag removes what carries it", "a purge reaches what other processes hold in memory",
		"a stale response that was purged while the handler ran stands in for nothing", "core/cache.TestPurgedValueStandsInForNothing",
		"a successful POST purges what is stored for its target", "losers of the lock get nothing a successful PUT has made obsolete"}},
	{"An outage of Redis refuses requests or lets them run, as configured, and hangs none.", []string{
		"no quorum is 503 with Retry-After, at once", "no quorum is borne for as long as configured", "no quorum runs the handler where failing open was chosen",
		"no quorum does not keep a cached route from answering", "no quorum refuses on a cached route where failing closed was chosen",
		"core/guard.TestDeadMajorityRefusesAtOnce", "core/guard.TestStoreTakesNoLongerThanANode", "core/cache.TestSilentStoreCostsItsTimeout", "core/cache.TestSilentLocksCostTheirTimeout"}},

	{"What is flushed, hijacked, larger than [Config.MaxBody] or ends in trailers reaches its client whole and nobody else.", []string{
		"a flush streams through a cached route and is not stored", "a hijack works on a cached route", "a protocol can be switched on a cached route",
		"trailers arrive on a cached route and are not stored", "a trailer that was announced and never set ends the response",
		"a response over MaxBody arrives whole and is not stored", "io.Copy beyond MaxBody", "a response over MaxBody holds up nobody who asks for the same",
		"a stream on a cached route outlives its lock", "a stream on a cached route ends with its client"}},
	{"Set-Cookie, private and no-store responses, and those to requests with Authorization or a Cookie, reach one client alone.", []string{
		"Set-Cookie goes to one client only", "Set-Cookie of middleware in front goes with a response to one client only",
		"a HEAD with Set-Cookie of middleware in front makes nothing new", "Set-Cookie is found in any spelling", "private, no-store and no-cache are not stored",
		"a request with Authorization has no part in the cache", "a request with a cookie has no part in the cache",
		"fields of private= and no-cache= reach their own client", "a 304 that forbids storing is obeyed"}},
	{"Fields with several values keep them, and what outer middleware has set is not stored.", []string{
		"multi-value headers stay multi-value", "headers of outer middleware are not stored", "fields of a connection are not stored",
		"core/guard.TestHeadersOfAHitBelongToItsClient"}},
	{"Content is never sent in a coding its client cannot read.", []string{
		"compressed content goes to who can read it", "compression outside of the guard suits every client"}},
	{"HEAD and GET share what is stored, and no other method sees it.", []string{
		"HEAD is answered from a stored GET and stores nothing", "a HEAD that disagrees with a stored response removes it",
		"a HEAD that agrees with a stored response makes it new", "a HEAD finds its variant, and removes that one alone",
		"a HEAD or Range that loses the lock gets the last response", "a POST never sees a GET's response", "a method override has no part in the cache"}},
	{"Freshness, variants, validation, ranges and invalidation are those of RFC 9111 for a shared cache.", []string{
		"max-age overrules Fresh", "heuristic freshness counts where it was asked for", "an Age that came with a response counts", "Vary keeps variants apart",
		"a response is validated, and a 304 makes it new", "a range is cut from a stored response", "a HEAD that forbids storing is obeyed", "which statuses are stored without being told, and which when told",
		"a targeted field decides in place of Cache-Control", "examples/cacheproxy.TestSituations", "examples/cacheproxy.TestInvalidation",
		"core/guard/internal/rfc9111.TestParseResponse", "core/guard/internal/rfc9111.TestLifetime", "core/guard/internal/rfc9111.TestAge",
		"core/guard/internal/rfc9111.TestParseDate", "core/guard/internal/rfc9111.TestRefusal"}},
	{"A handler that is serialized can do all that the server's writer can.", []string{
		"a flush reaches the client while the handler runs", "a connection can be hijacked", "a protocol can be switched", "http.ResponseController sets deadlines",
		"io.Copy from a file-like reader", "trailers arrive", "1xx responses arrive", "request and response can be one dialogue",
		"a write deadline that has passed cuts the response", "a read deadline that has passed ends the request body", "nothing is stored or said about caching"}},
	{"Frameworks find their writer, their errors and their hooks as without a Guard.", []string{
		"ginlock.TestRenderedResponses", "echolock.TestRenderedResponses", "echolock.TestErrorsGoToTheErrorHandler", "echolock.TestRefusalsGoToTheErrorHandler",
		"ginlock.TestAnswersAreThoseWithoutAGuard", "nethttplock.TestTimeoutsAnswer", "echolock.TestTimeoutsAnswer"}},

	{"Keys that differ in any byte, or belong to other routes, methods or namespaces, are different.", []string{
		"no spelling of a target forges the key of another", "every byte of a parameter counts, once decoded", "bytes that mean something elsewhere mean nothing in a key",
		"routes and methods have keys of their own", "namespaces have keys of their own", "core/guard.FuzzNamesAreInjective", "keyfuncs.FuzzTemplateInjective"}},
	{"A request without a key is refused before its handler runs.", []string{
		"a key that fails is 400 and the handler does not run", "an empty key is 400", "an empty parameter is 400", "a key error's HTTPStatus is the answer"}},
	{"No part of a target gives one client the answer to another, whether the key names it or not.", []string{
		"the query is part of the identity", "the Host is part of the identity", "no request decides what another one gets",
		"no suffix of a path makes a personal response public", "a field of the request is part of the identity where configured"}},
	{"No field tells the key, and no line of the log holds one unescaped.", []string{
		"no field tells the key", "a refusal tells the client nothing of the key", "core/guard.TestLogHoldsNoRawBytes"}},
	{"Queues, memory and what one response can occupy are bounded.", []string{
		"beyond MaxQueue requests are refused at once, other keys unaffected", "of 300 requests on one cold key as many wait as may, and other keys notice nothing",
		"core/guard.TestManyTargetsLeaveMemoryFlat", "core/guard.TestManyTargetsAreBoundedInNumber", "core/guard.TestMistakesAreBounded",
		"core/cache.TestDistinctKeysLeaveMemoryFlat", "core/cache.TestBombIsAMiss"}},
	{"An Idempotency-Key runs the handler once for each principal, also where the process ends.", []string{
		"an Idempotency-Key runs the handler once and repeats its response", "an Idempotency-Key belongs to one principal", "an Idempotency-Key belongs to one route",
		"an Idempotency-Key in flight is 409", "an Idempotency-Key with another payload is 422", "an Idempotency-Key is known to another process",
		"core/guard.TestAResponseOutlivesTheProcessThatMadeIt", "core/guard.TestAKeyIsFreeAgainAfterTheProcessThatRanIt"}},
}

// threats are what clients, handlers and a broken store may do, and what shows
// that it does no harm.
var threats = []shown{
	// Keys
	{"x:y and z against x and y:z; {b}, ${b}, %s, {tag} as a value", []string{
		"keyfuncs.TestHostileSeparators", "keyfuncs.TestHostileMarkupIsLiteral", "bytes that mean something elsewhere mean nothing in a key", "core.TestKeysOfAnyBytes"}},
	{"one value in several spellings", []string{"a parameter has one value however it is spelled", "keyfuncs.TestHostileSpellingsOfARouteParameter"}},
	{"encoded twice", []string{"encoded twice is another value", "every byte of a parameter counts, once decoded"}},
	{"an escaped slash", []string{"no spelling of a target forges the key of another", "keyfuncs.TestHostileEscapedSlashIsNotASlash"}},
	{"empty segments and dot segments", []string{"an empty parameter is 400", "no spelling of a target forges the key of another", "keyfuncs.TestHostileEmptyParameterIsRefused"}},
	{"zero bytes, line ends, invalid UTF-8, values that differ in their last byte of thousands", []string{
		"bytes that mean something elsewhere mean nothing in a key", "keyfuncs.TestHostileLongValuesDifferInTheirLastByte", "core.TestErrorsQuoteKeys",
		"core/guard.TestLogHoldsNoRawBytes", "core/cache.TestRedisKeysAreBoundedAndExpire"}},
	{"wildcards in a purge", []string{"purge patterns are literal", "core/guard.TestPurgeEnumeratesNothing"}},
	{"query parameters that are repeated, reordered, or parted by semicolons", []string{
		"keyfuncs.TestHostileQueries", "keyfuncs.TestQuerySorted", "the query is part of the identity"}},
	{"spoofed X-Forwarded fields", []string{"keyfuncs.TestHostileForwarding", "keyfuncs.TestIPBehindTrustedProxies", "no request decides what another one gets"}},
	{"the same parameters under another method, route or application", []string{
		"routes and methods have keys of their own", "namespaces have keys of their own", "ScopeNamespace shares keys among routes and methods"}},
	{"a template with a parameter that the route does not have", []string{"keyfuncs.TestCheck", "keyfuncs.TestParamTellsMistakeFromMissing", "a mistake in the program is 500 and one line in the log"}},
	// Stored responses
	{"Authorization or a Cookie in the request, Set-Cookie in the response", []string{
		"a request with Authorization has no part in the cache", "a request with a cookie has no part in the cache", "Set-Cookie goes to one client only",
		"Authorization is cached where that was dangerously allowed", "cookies are cached where that was dangerously allowed", "Set-Cookie is stored where that was dangerously allowed"}},
	{"no-store, private, no-cache, must-revalidate", []string{
		"private, no-store and no-cache are not stored", "must-revalidate is never served stale", "a validator serves responses without freshness"}},
	{"Vary, Vary: *, Vary on Cookie or Authorization", []string{"Vary keeps variants apart", "Vary: * is not stored", "core/guard/internal/rfc9111.TestRefusal"}},
	{"a query or Host that is not in the key", []string{"the query is part of the identity", "the Host is part of the identity", "IgnoreQuery leaves out what it names", "IgnoreHost leaves the Host out"}},
	{"a reflected X-Forwarded-Host", []string{"a field of the request is part of the identity where configured"}},
	{"206, HEAD before GET, POST, errors", []string{
		"a 206 of the handler is not stored", "HEAD is answered from a stored GET and stores nothing", "a POST never sees a GET's response",
		"which statuses are stored without being told, and which when told"}},
	{"panic, flush, hijack, over MaxBody, a client that is gone, a lock that is lost", []string{
		"a panic of the winner hangs nobody", "a panic after a flush cuts the response, which is not stored", "a flush streams through a cached route and is not stored",
		"a hijack works on a cached route", "a response over MaxBody arrives whole and is not stored", "a response made after its client has gone is not stored",
		"a response made under a lost lock is not stored"}},
	{"a clock that is set back, a response older than all its windows", []string{
		"core/guard.TestWallClockIsSet", "core/guard.TestWallClockIsWrong", "core/guard.TestWallClockIsSetDuringAFetch",
		"core/guard/internal/rfc9111.TestState", "core/cache.TestServerClockSetBack", "core/cache.TestLifeOfAValue"}},
	{"a corrupt, huge, outdated or foreign value in Redis", []string{
		"a corrupt value in the store is a miss", "core/cache.TestBombIsAMiss", "core/cache.TestForeignEntriesAreMisses", "core/cache.TestCodecsOfARollingUpgrade",
		"core/guard.TestCodecRefusesWhatIsCutShort", "core/guard.FuzzCodec"}},
	{"a key in a field of the response", []string{"no field tells the key", "a refusal tells the client nothing of the key"}},
	{"a client that does not read what is stored compressed", []string{"compressed content goes to who can read it"}},
	// Load
	{"300 requests on one key", []string{
		"of 300 requests on one key as many wait as may, and other keys notice nothing", "of 300 requests on one cold key as many wait as may, and other keys notice nothing"}},
	{"200 waiters that hang up", []string{"200 waiters that hang up are gone"}},
	{"a million distinct keys", []string{
		"core/guard.TestManyTargetsLeaveMemoryFlat", "core/guard.TestManyTargetsAreBoundedInNumber", "core/guard.TestFloodsLeaveMemoryFlat",
		"examples/cacheproxy.TestManyTargets", "core/cache.TestDistinctKeysLeaveMemoryFlat", "core/cache.TestFailingKeysAreBounded"}},
	{"a slow request body, a slow reader, a handler that hangs", []string{
		"a slow request body holds no lock", "a slow request body holds no lock by asking for another protocol", "a slow reader loses the lock", "a slow reader of a stored response holds up nobody",
		"a handler that hangs loses its lock, and the next one runs", "a handler longer than its lease keeps its lock", "a hold shorter than its lease ends with the lease"}},
	{"a handler that calls its own route", []string{
		"a request that already holds its lock is 500, not a wait", "a handler that calls its own cached route is told of the deadlock",
		"a handler that asks its own route over the network gets a refusal"}},
}

// What package guard promises, something shows, and what is listed is promised.
func TestEveryPromiseIsShown(t *testing.T) {
	listed := map[string]bool{}
	for _, p := range promises {
		listed[p.said] = true
	}
	require.Len(t, listed, len(promises))
	_, promised, _ := strings.Cut(comments(t, "../doc.go"), "# What is promised ")
	promised, _, found := strings.Cut(promised, " # The cache")
	require.True(t, found)
	for sentence := range strings.SplitAfterSeq(promised, ". ") {
		sentence = strings.TrimSpace(sentence)
		require.True(t, listed[sentence], "nothing is named for: %s", sentence)
		delete(listed, sentence)
	}
	require.Empty(t, listed, "no longer promised")
}

func TestWhatShowsAPromiseExists(t *testing.T) {
	there := map[string]bool{}
	for _, b := range behaviours() {
		require.False(t, there[b.name], "two behaviours: %s", b.name)
		there[b.name] = true
	}
	for _, folder := range []string{"core", "core/cache", "core/guard", "core/guard/internal/rfc9111", "keyfuncs", "ginlock", "echolock", "nethttplock", "examples/cacheproxy"} {
		for _, name := range tests(t, filepath.Join("../../..", filepath.FromSlash(folder))) {
			there[folder+"."+name] = true
		}
	}
	for _, list := range [][]shown{promises, threats} {
		for _, s := range list {
			require.NotEmpty(t, s.by, s.said)
			for _, name := range s.by {
				require.True(t, there[name], "%s: there is no %q", s.said, name)
			}
		}
	}
}

// comments are those of a file, as running text.
func comments(t *testing.T, name string) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
	require.NoError(t, err)
	var words []string
	for _, group := range file.Comments {
		words = append(words, strings.Fields(group.Text())...)
	}
	return strings.Join(words, " ")
}

var testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)

// tests are the names of a folder's tests.
func tests(t *testing.T, folder string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files, folder)
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range testFunction.FindAllSubmatch(source, -1) {
			names = append(names, string(match[1]))
		}
	}
	return names
}
