package pjrt

// Held returns how many bytes lie in buffers on the first device.
func (c *Client) Held() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	total := 0
	for _, b := range c.buffers {
		if b.device == 0 && !b.donated {
			total += b.shape.bytes()
		}
	}
	return int64(total)
}
