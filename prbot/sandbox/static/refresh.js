// Loads the page again when something happened, unless somebody is in the middle of writing.
const { version, ask } = document.body.dataset;
const writing = () => [...document.querySelectorAll("textarea, input")].some((field) => field.value !== field.defaultValue);
setInterval(async () => {
  if (document.hidden || writing()) return;
  const answer = await fetch(ask).catch(() => null);
  if (answer && answer.ok && (await answer.text()) !== version && !writing()) location.reload();
}, 1500);
