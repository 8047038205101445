// Warns people before their session ends because they have been idle, and lets them stay logged in by one press of a
// button (WCAG 2.2, success criterion 2.2.1). The words are in the <dialog> that docs/idle-warning.md shows.
//
// Only that press keeps the session. What is asked by itself is passive, so an idle tab is logged out all the same.
{
  const dialog = document.getElementById("idle-warning");
  const stay = dialog.querySelector("form[method=post]"); // posted to where GET says how long the session lives
  const close = dialog.querySelector("form[method=dialog]"); // in its place if no press can move the end
  const failure = dialog.querySelector("[role=alert]");
  const login = dialog.dataset.login ?? `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
  const warning = 1000 * Math.max(Number(dialog.dataset.warning) || 120, 30); // how long before the end, in milliseconds
  const pause = 5000; // between two questions while the end is near

  let end = NaN; // by this computer's clock; NaN before the first answer, Infinity if nobody is logged in
  let longest = 0; // milliseconds that the session has had left: of a short idle limit, one half is left in peace
  let isNear = false; // whether that end is so near that there is a warning
  let isClosed = false; // by somebody who has not stayed: then it does not come back
  let asked = -Infinity;
  let ticked = Date.now();
  let questions = 0;

  async function ask(method, isSecond = false) {
    const question = ++questions;
    asked = Date.now();
    const answer = await fetch(stay.action, { method, cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(`${stay.action}: ${answer.status}`);
    const { logged_in, idle_in, ends_in } = await answer.json();
    if (question !== questions) return; // the answer to a later question counts, such as a press of the button
    if (!logged_in && end < Infinity) {
      // While another tab logs in or confirms, the old cookie names nobody: by the next question there is a new one.
      if (!isSecond) return ask("GET", true);
      leave();
    }
    end = logged_in ? Date.now() + 1000 * Math.min(idle_in, ends_in) : Infinity;
    longest = logged_in ? Math.max(longest, end - Date.now()) : 0;
    stay.hidden = ends_in <= idle_in;
    close.hidden = !stay.hidden;
  }

  const noticeTime = () => Math.min(warning, longest / 2);

  function leave() {
    // For a page that has something to save first: it listens for "over" at the dialog, and may prevent what follows.
    if (dialog.dispatchEvent(new Event("over", { cancelable: true }))) location.assign(login);
  }

  function show() {
    const left = Math.max(end - Date.now(), 0);
    isNear = left <= noticeTime();
    if (isNear) {
      dialog.querySelector(".left").textContent = inWords(Math.ceil(left / 1000));
      if (!dialog.open && !isClosed) dialog.showModal();
    } else {
      isClosed = false;
      failure.hidden = true;
      dialog.close();
    }
  }

  function inWords(seconds) {
    const [count, unit] = seconds > 60 ? [Math.ceil(seconds / 60), "minute"] : [seconds, "second"];
    const style = { style: "unit", unit, unitDisplay: "long" };
    const say = (lang) => new Intl.NumberFormat(lang || undefined, style).format(count);
    try {
      return say(document.documentElement.lang.replaceAll("_", "-")); // many templates write en_US
    } catch {
      return say(); // in the browser's language
    }
  }

  // Without an answer, what is known goes on counting: a server that is out of reach has logged nobody out.
  const look = () => ask("GET").catch(() => {}).finally(show);

  function tick() {
    const now = Date.now();
    const isCalm = end - now > noticeTime(); // and not before the first answer
    if ((!isCalm && now - asked >= pause) || now < ticked) look(); // `now < ticked`: the clock was set back
    if (dialog.open) show();
    ticked = now;
  }

  stay.addEventListener("submit", (event) => {
    event.preventDefault();
    failure.hidden = true;
    ask("POST").catch(() => (failure.hidden = false)).finally(show);
  });
  dialog.addEventListener("close", () => (isClosed = isNear));
  document.addEventListener("visibilitychange", () => document.hidden || look());
  setInterval(tick, 1000); // and not one long timer: none counts while the computer sleeps
  tick();
}
