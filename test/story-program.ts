// What programs that tests start tell with the embedded model.

/** `say(loadModel)` gives a few words. */
export const SAY = `
async function say(load) {
  const model = await load(undefined, { threads: 2 });
  let text = "";
  for await (const event of model.generate("Once upon a time", { maxTokens: 12, temperature: 0 })) {
    if (event.type === "token") text += event.text;
  }
  await model.dispose();
  return text;
}
`;
