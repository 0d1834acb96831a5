package pjrt

// Kill ends the helper program as a crash does.
func (c *Client) Kill() error { return c.helper.cmd.Process.Kill() }
