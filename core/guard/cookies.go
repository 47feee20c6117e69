package guard

// setsCookies reports whether middleware in front of the Guard sets cookies, as many as
// this before and after the handler ran, that make its response personal. One that is
// set before may be what the handler goes by, as a token against forged requests is;
// where cookies make no difference it is not. One that is set meanwhile is the
// handler's doing: a session that was begun with the writer outside.
func (g *Guard) setsCookies(before, after int) bool {
	return after > before || before > 0 && !g.DangerouslyCacheCookies
}
