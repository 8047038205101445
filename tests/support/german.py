"""The pages in German: what a site writes that wants another language."""

from __future__ import annotations

GERMAN = {
    "lang": "de",
    "dir": "ltr",
    "page.document_title": "{title} | {site_name}",
    "page.document_title_of_error": "Fehler: {title}",
    "page.continue": "Weiter",
    "page.log_out": "Abmelden",
    "wait.moment": "Bitte versuchen Sie es gleich noch einmal.",
    "wait.seconds": "Bitte versuchen Sie es in {seconds} Sekunden noch einmal.",
    "wait.minutes": "Bitte versuchen Sie es in {minutes} Minuten noch einmal.",
    "wait.hours": "Bitte versuchen Sie es in {hours} Stunden noch einmal.",
    "login.title": "Anmelden",
    "login.submit": "Anmelden",
    "login.username.label": "Benutzername",
    "login.password.label": "Passwort",
    "login.remember.label": "Angemeldet bleiben",
    "login.to_forgot": "Passwort vergessen?",
    "login.to_register": "Konto anlegen",
    "login.to_register.question": "Noch kein Konto?",
    "login.logged_in": "Sie sind als {username} angemeldet.",
    "login.registered": "Ihr Konto ist bereit. Bitte melden Sie sich an.",
    "login.reset": "Ihr Passwort wurde geändert. Bitte melden Sie sich an.",
    "login.error.NotLoggedIn.perhaps_changed": (
        "Bitte melden Sie sich an. Wenn Sie Ihr Passwort gerade geändert haben, mit dem neuen."
    ),
    "login.ended.expired": "Ihre Sitzung ist abgelaufen. Bitte melden Sie sich an.",
    "login.ended.elsewhere": (
        "Sie wurden von einem anderen Gerät oder Browser aus abgemeldet. Bitte melden Sie sich wieder an."
    ),
    "login.ended.limit": (
        "Sie wurden abgemeldet, weil Sie auf zu vielen Geräten angemeldet sind. Bitte melden Sie sich wieder an."
    ),
    "login.ended.password": (
        "Sie wurden abgemeldet, weil Ihr Passwort geändert wurde. Bitte melden Sie sich wieder an."
    ),
    "login.ended.disabled": "Sie wurden abgemeldet, weil Ihr Konto gesperrt wurde.",
    "login.ended.admin": "Ihre Sitzung wurde von der Verwaltung beendet. Bitte melden Sie sich an.",
    "register.title": "Konto anlegen",
    "register.submit": "Konto anlegen",
    "register.username.label": "Benutzername",
    "register.username.hint": (
        "Bis zu 128 Buchstaben und Ziffern eines Alphabets, ohne Leerzeichen. Zeichen wie . - _ @ sind erlaubt."
    ),
    "register.password.label": "Passwort",
    "register.password.hint": "Mindestens {minimum_length} Zeichen. Mehrere Wörter sind leicht zu merken.",
    "register.to_login": "Anmelden",
    "register.to_login.question": "Haben Sie schon ein Konto?",
    "register.logged_in": (
        "Sie sind als {username} angemeldet. Um ein weiteres Konto anzulegen, melden Sie sich erst ab."
    ),
    "logout.title": "Abmelden",
    "logout.submit": "Abmelden",
    "logout.logged_out": "Sie sind abgemeldet.",
    "logout.to_home": "Angemeldet bleiben",
    "password.title": "Passwort ändern",
    "password.submit": "Passwort ändern",
    "password.username.label": "Benutzername",
    "password.password.label": "Bisheriges Passwort",
    "password.new_password.label": "Neues Passwort",
    "password.new_password.hint": "Mindestens {minimum_length} Zeichen. Mehrere Wörter sind leicht zu merken.",
    "password.to_forgot": "Passwort vergessen?",
    "password.to_sessions": "Wo Sie angemeldet sind",
    "password.changed": "Ihr Passwort wurde geändert. Überall sonst wurden Sie abgemeldet.",
    "password.error.LoginFailed": "Das ist nicht Ihr bisheriges Passwort.",
    "sessions.title": "Wo Sie angemeldet sind",
    "sessions.submit": "Überall sonst abmelden",
    "sessions.to_password": "Passwort ändern",
    "sessions.to_logout": "Hier abmelden",
    "sessions.current": "Dieser Browser",
    "sessions.end": "Abmelden",
    "sessions.unknown_device": "Unbekannter Browser",
    "sessions.address": "Adresse",
    "sessions.methods": "Angemeldet mit",
    "sessions.method.password": "Passwort",
    "sessions.authenticated_at": "Angemeldet",
    "sessions.last_used_at": "Benutzt",
    "sessions.time": "{day}.{month}.{year}, {hour}:{minute} Uhr (UTC)",
    "sessions.now": "jetzt",
    "sessions.moment": "gerade eben",
    "sessions.minutes": "vor etwa {minutes} Minuten",
    "sessions.hours": "vor etwa {hours} Stunden",
    "sessions.days": "vor etwa {days} Tagen",
    "sessions.ended": "Dieser Browser wurde abgemeldet.",
    "sessions.others_ended": "Sie wurden überall sonst abgemeldet.",
    "confirm.title": "Bestätigen Sie, dass Sie es sind",
    "confirm.submit": "Bestätigen",
    "confirm.username.label": "Benutzername",
    "confirm.password.label": "Passwort",
    "confirm.password.hint": ("Ihre Anmeldung ist eine Weile her. Bitte geben Sie Ihr Passwort noch einmal ein."),
    "confirm.to_forgot": "Passwort vergessen?",
    "confirm.to_home": "Abbrechen",
    "confirm.error.LoginFailed": "Das ist nicht Ihr Passwort.",
    "confirm.error.NotFresh.not_fresh": (
        "Bitte bestätigen Sie, dass Sie es sind, und wiederholen Sie dann, was Sie vorhatten."
    ),
    "confirm.missing": (
        "Hierfür ist ein weiterer Nachweis nötig, dass Sie es sind: {methods}. Auf dieser Seite geht das nicht."
    ),
    "forgot.title": "Passwort vergessen?",
    "forgot.submit": "Link zusenden",
    "forgot.username.label": "Benutzername",
    "forgot.username.hint": "Wir senden Ihnen einen Link, mit dem Sie ein neues Passwort wählen können.",
    "forgot.to_login": "Zurück zur Anmeldung",
    "forgot.sent": (
        "Falls es ein Konto mit diesem Namen gibt, ist eine Nachricht mit einem Link unterwegs. Der Link gilt eine "
        "Stunde. Wenn nichts ankommt, sehen Sie bitte im Spam-Ordner nach, bevor Sie es noch einmal versuchen."
    ),
    "reset.title": "Neues Passwort wählen",
    "reset.submit": "Passwort speichern",
    "reset.password.label": "Neues Passwort",
    "reset.password.hint": "Mindestens {minimum_length} Zeichen. Mehrere Wörter sind leicht zu merken.",
    "reset.to_forgot": "Neuen Link anfordern",
    "reset.to_login": "Zurück zur Anmeldung",
    "reset.error.TokenInvalid": (
        "Dieser Link gilt nicht mehr. Wenn Sie ihn gerade benutzt haben, melden Sie sich mit dem neuen Passwort an; "
        "sonst fordern Sie bitte einen neuen an."
    ),
    "error.Throttled": "Das waren zu viele Versuche.",
    "error.Busy": "Der Server ist ausgelastet.",
    "error.LoginFailed": "Benutzername oder Passwort ist falsch.",
    "error.NotLoggedIn": "Bitte melden Sie sich erst an.",
    "error.TokenInvalid": "Dieser Link gilt nicht mehr. Bitte fordern Sie einen neuen an.",
    "error.TooManySessions": (
        "Sie sind auf zu vielen Geräten angemeldet. Bitte melden Sie sich erst auf einem davon ab."
    ),
    "error.CrossOriginRefused.cross_origin": (
        "Dieses Formular kam von einer anderen Website. Bitte öffnen Sie die Seite hier und versuchen Sie es noch "
        "einmal."
    ),
    "error.CrossOriginRefused.method": (
        "Das geht nur mit einem Formular (per POST). Einem Link könnte man von jeder anderen Website aus gefolgt sein."
    ),
    "error.OtherOwner": (
        "Es wurde nichts geändert, weil hier inzwischen {username} angemeldet ist. Bitte sehen Sie noch einmal nach."
    ),
    "error.UsernameTaken": "Dieser Benutzername ist vergeben. Bitte wählen Sie einen anderen.",
    "error.UsernameRejected": (
        "Bitte wählen Sie einen Benutzernamen aus bis zu 128 Buchstaben und Ziffern eines Alphabets, ohne Leerzeichen. "
        "Zeichen wie . - _ @ sind erlaubt."
    ),
    "error.PasswordRejected.too_short": (
        "Bitte wählen Sie ein Passwort aus mindestens {minimum_length} Zeichen. Es dürfen mehrere Wörter sein."
    ),
    "error.PasswordRejected.too_long": "Bitte wählen Sie ein Passwort aus höchstens {maximum_length} Zeichen.",
    "error.PasswordRejected.invalid": "Bitte wählen Sie ein Passwort ohne Tabulatoren und Zeilenumbrüche.",
    "error.PasswordRejected.common": "Dieses Passwort ist leicht zu erraten. Bitte wählen Sie ein anderes.",
    "error.PasswordRejected.context": (
        "Dieses Passwort besteht aus Ihrem Benutzernamen oder dem Namen dieser Website. Bitte wählen Sie ein anderes."
    ),
    "error.PasswordRejected.breached": (
        "Dieses Passwort ist aus einem Datenleck bekannt und wird beim Raten zuerst versucht. Bitte wählen Sie ein "
        "anderes, und ändern Sie es überall, wo Sie es sonst benutzen."
    ),
    "error.PasswordRejected.unchanged": "Das ist schon Ihr Passwort. Bitte wählen Sie ein anderes.",
    "error.FieldRejected.missing": "Bitte füllen Sie dieses Feld aus.",
    "error.FieldRejected.unchecked": "Bitte setzen Sie hier ein Häkchen, um fortzufahren.",
    "error.FieldRejected.too_long": "Bitte verwenden Sie höchstens {max_length} Zeichen.",
    "error.FieldRejected.not_email": "Bitte geben Sie eine E-Mail-Adresse ein, zum Beispiel name@example.com.",
    "error.FieldRejected.invalid": "Bitte lassen Sie Zeilenumbrüche und andere Steuerzeichen weg.",
    "error.BadForm.method": "Diese Seite nimmt Formulare per POST entgegen.",
    "error.BadForm.media_type": "Bitte senden Sie das Formular dieser Seite ab.",
    "error.BadForm.no_length": "Das Formular kam ohne Längenangabe an.",
    "error.BadForm.too_large": "Das Formular ist zu groß.",
    "error.BadForm.twice": "Ein Feld des Formulars kam doppelt an.",
    "error.BadForm.unreadable": "Das Formular konnte nicht gelesen werden.",
    "error.BadForm.incomplete": "Das Formular kam unvollständig an.",
}
