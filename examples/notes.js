// A note that is half written when the session ends is posted. The notebook then asks for a login, and shows it again.
document.getElementById("idle-warning").addEventListener("over", (event) => {
  const form = document.getElementById("note");
  if (form && form.elements.text.value) {
    event.preventDefault(); // or else the page goes to the login, and takes the note with it
    form.submit();
  }
});
