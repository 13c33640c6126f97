const none = "–";
const number = (value, digits) => value === null ? none : value.toFixed(digits).replace("-", "−");
const compare = new Intl.Collator("en", {numeric: true}).compare;

const lists = {};                       // id of an element to the names it lists: read once, shared by many
const namesOf = id => lists[id] ??= JSON.parse(document.getElementById(id).textContent);
const dataOf = element => JSON.parse(element.querySelector("script").textContent);
