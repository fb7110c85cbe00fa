"""Methods around any Hugging Face generate call: nothing else in your program changes."""

import seesay
from seesay import toy

vlm = seesay.load()
model, processor = vlm.model, vlm.processor
turn = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}]
inputs = processor(
    images=toy.scene("broken", 7).image,
    text=processor.apply_chat_template(turn, add_generation_prompt=True),
    return_tensors="pt",
)
with (seesay.AttentionLens(alpha=0.4) + seesay.FarSight())(model):
    tokens = model.generate(**inputs, num_beams=4, max_new_tokens=60)
print(
    processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)[0]
)
