// Package openai speaks the protocol of OpenAI's API: embeddings, completions and the list of models.
//
// Pictures come as vLLM and Infinity take them, for whose servers clients exist: as a message with an image_url, or as data URLs with the
// modality "image". What the protocol has and models here have not is refused by name, never passed over in silence.
package openai
