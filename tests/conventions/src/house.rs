//! Checks the imports of a crate against the [rules](crate::rules), and counts its files, imports and circles. An
//! arrow is an import that leads from one file into another. A room is a folder inside of a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::cfgs::lines_in;
use crate::graph::{circles, fewest_cuts};
use crate::paths::collect;
use crate::resolve::{Arrow, PRIVATE, Resolved, resolve};
use crate::rules::{
    CRATES_OF_BASE, FOLDERS, MOST_CFGS, MOST_FILES, MOST_LINES, RECURSIONS, Recursion, SMALL,
};
use crate::source::Sources;
use crate::tree::{FileId, ROOT, Tree};

/// The advice in messages about a circle.
const CUT: &str = "cut the arrows that are marked, or those of another direction";

/// A crate with all its imports resolved.
pub struct House {
    tree: Tree,
    resolved: Resolved,
    /// The folder of each file.
    folders: Vec<String>,
    recursions: &'static [Recursion],
    /// The file and line of each attribute and `cfg!` that names the feature `testing` or `health`, in the folders
    /// from `base` to `instrument`.
    cfgs: Vec<(FileId, usize)>,
}

/// A rule that is broken, and the places that break it.
#[derive(Debug)]
pub struct Violation {
    /// What is wrong, and how to correct it.
    pub message: String,
    /// The imports or other places that break the rule.
    pub places: Vec<Place>,
}

/// A line, a file or a folder that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, below `src`.
    pub file: String,
    /// The line; 0 means the file or folder as a whole.
    pub line: usize,
    /// The path in this line, and the file to which the path leads if the rule is about imports. This text is empty
    /// if the rule is not about a path.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        self.places.iter().try_for_each(|place| match place.line {
            0 => write!(f, "\n    {}  {}", place.file, place.what),
            line => write!(f, "\n    {}:{line}  {}", place.file, place.what),
        })
    }
}

/// The numbers that show how well the source keeps to its layout.
#[derive(Debug, PartialEq, Eq)]
pub struct Figures {
    /// The number of files.
    pub files: usize,
    /// The number of pairs of files in which the first file imports the second.
    pub arrows: usize,
    /// The number of files in circles of imports.
    pub files_in_circles: usize,
    /// The number of files in circles of imports that include files of more than one folder.
    pub files_in_circles_across_folders: usize,
    /// The number of folders in circles of imports. A room and the folder around it count as two folders.
    pub folders_in_circles: usize,
    /// The number of pairs of files in which the first file imports the second against the order of the folders.
    pub arrows_against_the_order: usize,
    /// The number of lines from `base` to `instrument` that name the feature `testing` or `health` in a `cfg`, and
    /// the number of files that have such lines.
    pub cfg_lines: (usize, usize),
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lines, files) = self.cfg_lines;
        writeln!(f, "{:6}  files", self.files)?;
        writeln!(f, "{:6}  arrows between files", self.arrows)?;
        writeln!(f, "{:6}  files in circles of imports", self.files_in_circles)?;
        writeln!(
            f,
            "{:6}  files in circles of imports that cross a folder",
            self.files_in_circles_across_folders
        )?;
        writeln!(f, "{:6}  folders in circles, with each room a folder of its own", self.folders_in_circles)?;
        writeln!(f, "{:6}  arrows against the order of the folders", self.arrows_against_the_order)?;
        write!(
            f,
            "{lines:6}  lines in {files} files with `testing` or `health` in a cfg, from base to instrument"
        )
    }
}

impl House {
    /// Resolves all imports of a crate. `placed` maps the paths of files to new paths, so that a new layout can be
    /// measured before the files are moved.
    pub fn new(sources: &Sources, placed: &BTreeMap<String, String>) -> House {
        let mut tree = Tree::new(sources);
        let mentions = collect(&mut tree);
        let resolved = resolve(&tree, &mentions);
        for file in &mut tree.files {
            if let Some(path) = placed.get(&file.path) {
                file.path.clone_from(path);
            }
        }
        let paths: BTreeSet<&str> = tree.files.iter().map(|file| file.path.as_str()).collect();
        let folders: Vec<String> = tree.files.iter().map(|file| folder_of(&file.path, &paths)).collect();
        let mut house = House { tree, resolved, folders, recursions: RECURSIONS, cfgs: Vec::new() };
        house.cfgs = house.find_cfgs();
        house
    }

    /// Allows these circles instead of those in [`RECURSIONS`].
    #[must_use]
    pub fn allowing(mut self, recursions: &'static [Recursion]) -> House {
        self.recursions = recursions;
        self
    }

    fn find_cfgs(&self) -> Vec<(FileId, usize)> {
        let in_core = |file: &FileId| {
            self.rank(*file).is_some_and(|rank| FOLDERS[rank].name != "install" && !FOLDERS[rank].is_feature)
        };
        let files = (0..self.tree.files.len()).filter(in_core);
        files
            .flat_map(|file| {
                lines_in(&self.tree.files[file].syntax).into_iter().map(move |line| (file, line))
            })
            .collect()
    }

    /// Checks every rule, and returns the violations.
    pub fn violations(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        violations.extend(self.places_without_layer());
        violations.extend(self.unreached());
        violations.extend(self.lost());
        violations.extend(self.named_private());
        violations.extend(self.against_the_order());
        violations.extend(self.foreign_to_base());
        violations.extend(self.too_many_cfgs());
        violations.extend(self.past_recursions());
        for folder in self.all_folders() {
            violations.extend(self.circle_of_rooms(&folder));
            violations.extend(self.circle_of_files(&folder));
            violations.extend(self.too_large(&folder));
        }
        violations
    }

    /// Counts files, imports and circles.
    pub fn figures(&self) -> Figures {
        let pairs: BTreeSet<(FileId, FileId)> =
            self.resolved.arrows.iter().map(|arrow| (arrow.from, arrow.to)).collect();
        let circles = circles(&pairs);
        let across = circles.iter().filter(|circle| {
            circle.iter().map(|file| &self.folders[*file]).collect::<BTreeSet<_>>().len() > 1
        });
        let against: BTreeSet<(FileId, FileId)> = self
            .resolved
            .arrows
            .iter()
            .filter(|arrow| self.is_against(arrow))
            .map(|arrow| (arrow.from, arrow.to))
            .collect();
        let folders =
            pairs.iter().map(|(from, to)| (self.folders[*from].as_str(), self.folders[*to].as_str()));
        let folders: BTreeSet<(&str, &str)> = folders.filter(|(from, to)| from != to).collect();
        let cfg_files: BTreeSet<FileId> = self.cfgs.iter().map(|(file, _)| *file).collect();
        Figures {
            files: self.tree.files.len(),
            arrows: pairs.len(),
            files_in_circles: circles.iter().map(BTreeSet::len).sum(),
            files_in_circles_across_folders: across.map(BTreeSet::len).sum(),
            folders_in_circles: self::circles(&folders).iter().map(BTreeSet::len).sum(),
            arrows_against_the_order: against.len(),
            cfg_lines: (self.cfgs.len(), cfg_files.len()),
        }
    }

    fn is_root(&self, file: FileId) -> bool {
        file == self.tree.scopes[ROOT].file || self.path(file) == format!("{PRIVATE}.rs")
    }

    fn path(&self, file: FileId) -> &str {
        &self.tree.files[file].path
    }

    /// Returns the index in [`FOLDERS`] of a file's outermost folder, or `None` if the folder is not listed.
    fn rank(&self, file: FileId) -> Option<usize> {
        let outermost = self.folders[file].split('/').next()?;
        FOLDERS.iter().position(|folder| folder.name == outermost)
    }

    fn is_against(&self, arrow: &Arrow) -> bool {
        if self.is_root(arrow.to) {
            return true;
        }
        let (Some(from), Some(to)) = (self.rank(arrow.from), self.rank(arrow.to)) else { return false };
        to > from || (to < from && FOLDERS[to].is_feature)
    }

    fn place(&self, arrow: &Arrow) -> Place {
        let from = self.rank(arrow.from).map(|rank| FOLDERS[rank].name);
        let to = self.rank(arrow.to).map(|rank| FOLDERS[rank].name);
        let layers = match (from, to) {
            (Some(from), Some(to)) if from != to && self.is_against(arrow) => {
                format!("  ({to} is not below {from})")
            }
            _ => String::new(),
        };
        let what = format!("{} → {}{layers}", arrow.path, self.path(arrow.to));
        Place { file: self.path(arrow.from).to_owned(), line: arrow.line, what }
    }

    fn line(&self, (file, line, what): &(FileId, usize, String)) -> Place {
        Place { file: self.path(*file).to_owned(), line: *line, what: what.clone() }
    }

    fn places_without_layer(&self) -> Option<Violation> {
        let places: Vec<Place> = (0..self.tree.files.len())
            .filter(|file| !self.is_root(*file) && self.rank(*file).is_none())
            .map(|file| Place { file: self.path(file).to_owned(), line: 0, what: String::new() })
            .collect();
        violation("in no folder of the order: move the file into one, or add its folder to `FOLDERS`", places)
    }

    fn unreached(&self) -> Option<Violation> {
        let place = |file: &String| Place { file: file.clone(), line: 0, what: String::new() };
        let places = self.tree.unreached.iter().map(place).collect();
        violation(
            "a file that no `mod` item names: name it in one, outside of any macro, or delete it",
            places,
        )
    }

    fn lost(&self) -> Option<Violation> {
        let places = self.resolved.lost.iter().map(|lost| self.line(lost)).collect();
        violation("a path that this test cannot follow: name the item where it is defined", places)
    }

    fn named_private(&self) -> Option<Violation> {
        let places = self.resolved.private.iter().map(|private| self.line(private)).collect();
        violation(
            "a path through `__private`, which is for expansions alone: name the item where it is defined",
            places,
        )
    }

    fn against_the_order(&self) -> Option<Violation> {
        let places =
            self.resolved.arrows.iter().filter(|arrow| self.is_against(arrow)).map(|arrow| self.place(arrow));
        violation(
            "an import against the order of the folders: move the item down, or let the upper folder hand it in",
            places.collect(),
        )
    }

    fn foreign_to_base(&self) -> Option<Violation> {
        let places = self
            .resolved
            .foreign
            .iter()
            .filter(|(file, _, path)| {
                self.folders[*file].split('/').next() == Some("base") && is_foreign_crate(path)
            })
            .map(|(file, line, path)| self.line(&(*file, *line, path.join("::"))))
            .collect();
        violation("`base` names std alone: move what needs another crate up", places)
    }

    fn too_many_cfgs(&self) -> Option<Violation> {
        let places = self.cfgs.iter().map(|(file, line)| self.line(&(*file, *line, String::new()))).collect();
        let message = format!(
            "more than {MOST_CFGS} times `cfg(feature = \"testing\")` or `\"health\"` from `base` to `instrument`: \
             let the feature register itself"
        );
        violation(&message, places).filter(|_| self.cfgs.len() > MOST_CFGS)
    }

    /// Returns every folder that contains a file, directly or in a room. `src` itself has the empty name.
    fn all_folders(&self) -> BTreeSet<String> {
        let mut folders = BTreeSet::from([String::new()]);
        for folder in &self.folders {
            folders.extend(folder.match_indices('/').map(|(end, _)| folder[..end].to_owned()));
            folders.insert(folder.clone());
        }
        folders
    }

    /// Returns a violation for each circle among the files and rooms that are directly in a folder. Leaves out a
    /// circle that contains only files.
    fn circle_of_rooms(&self, folder: &str) -> Vec<Violation> {
        let entries: Vec<Option<Entry>> =
            (0..self.tree.files.len()).map(|file| self.entry(folder, file)).collect();
        let mut arrows: BTreeMap<(&Entry, &Entry), &Arrow> = BTreeMap::new();
        for arrow in &self.resolved.arrows {
            if let (Some(from), Some(to)) = (&entries[arrow.from], &entries[arrow.to])
                && from != to
            {
                arrows.entry((from, to)).or_insert(arrow);
            }
        }
        let circles = circles(&arrows.keys().copied().collect());
        let with_rooms =
            circles.iter().filter(|circle| circle.iter().any(|entry| matches!(entry, Entry::Room(_))));
        with_rooms
            .filter_map(|circle| {
                let names: Vec<String> = circle.iter().map(|entry| self.name(entry)).collect();
                let names = names.join(", ");
                if folder.is_empty() {
                    // The outermost folders have an order, which shows which arrows are wrong.
                    let within =
                        arrows.iter().filter(|((from, to), _)| circle.contains(from) && circle.contains(to));
                    let wrong = within.filter(|(_, arrow)| self.is_against(arrow));
                    let message = format!("a circle of folders: {names}: cut the arrows against the order");
                    return violation(&message, wrong.map(|(_, arrow)| self.place(arrow)).collect());
                }
                violation(&format!("a circle of folders: {names}: {CUT}"), self.places_of(circle, &arrows))
            })
            .collect()
    }

    fn circle_of_files(&self, folder: &str) -> Vec<Violation> {
        let is_here = |file: FileId| self.folders[file] == folder && !self.is_root(file);
        let is_small = (0..self.tree.files.len()).filter(|file| is_here(*file)).count() <= SMALL;
        let mut arrows: BTreeMap<(FileId, FileId), &Arrow> = BTreeMap::new();
        for arrow in self.resolved.arrows.iter().filter(|arrow| is_here(arrow.from) && is_here(arrow.to)) {
            arrows.entry((arrow.from, arrow.to)).or_insert(arrow);
        }
        let circles = circles(&arrows.keys().copied().collect());
        let forbidden = circles.iter().filter(|circle| !is_small && !self.is_recursion(circle));
        forbidden
            .filter_map(|circle| {
                let files = self.paths(circle).join(", ");
                let message = format!(
                    "a circle of files in a folder of more than {SMALL}: {files}: {CUT}, or make a room of those that \
                     belong together"
                );
                violation(&message, self.places_of(circle, &arrows))
            })
            .collect()
    }

    /// Returns the arrows of a circle. A smallest set of arrows whose removal opens the circle is marked.
    fn places_of<N: Copy + Ord>(
        &self,
        circle: &BTreeSet<N>,
        arrows: &BTreeMap<(N, N), &Arrow>,
    ) -> Vec<Place> {
        let within = arrows.iter().filter(|((from, to), _)| circle.contains(from) && circle.contains(to));
        let cuts = fewest_cuts(circle, &arrows.keys().copied().collect());
        within
            .map(|(ends, arrow)| {
                let mut place = self.place(arrow);
                if cuts.contains(ends) {
                    place.what.push_str("  (cut)");
                }
                place
            })
            .collect()
    }

    fn is_recursion(&self, circle: &BTreeSet<FileId>) -> bool {
        let files: BTreeSet<&str> = self.paths(circle).into_iter().collect();
        self.recursions
            .iter()
            .any(|recursion| recursion.files.iter().copied().collect::<BTreeSet<_>>() == files)
    }

    fn paths(&self, files: &BTreeSet<FileId>) -> Vec<&str> {
        files.iter().map(|file| self.path(*file)).collect()
    }

    /// Reports the allowed circles that no longer exist.
    fn past_recursions(&self) -> Option<Violation> {
        let is_here = |recursion: &Recursion| {
            let listed = |file: FileId| recursion.files.contains(&self.path(file));
            let arrows = self.resolved.arrows.iter().filter(|arrow| listed(arrow.from) && listed(arrow.to));
            let circles = circles(&arrows.map(|arrow| (arrow.from, arrow.to)).collect());
            circles.iter().any(|circle| circle.len() == recursion.files.len())
        };
        let past = self.recursions.iter().filter(|recursion| !is_here(recursion));
        let place =
            |recursion: &Recursion| Place { file: recursion.files.join(", "), line: 0, what: String::new() };
        violation(
            "a recursion that is listed and does not exist: delete it from `RECURSIONS`",
            past.map(place).collect(),
        )
    }

    fn too_large(&self, folder: &str) -> Option<Violation> {
        let here: Vec<FileId> =
            (0..self.tree.files.len()).filter(|file| self.folders[*file] == folder).collect();
        let lines: usize = here.iter().map(|file| self.tree.files[*file].lines).sum();
        let message = format!(
            "a folder with {} files and {lines} lines directly in it: make rooms; at most {MOST_FILES} files and \
             {MOST_LINES} lines",
            here.len()
        );
        let place = Place { file: format!("{folder}/"), line: 0, what: String::new() };
        violation(&message, vec![place]).filter(|_| here.len() > MOST_FILES || lines > MOST_LINES)
    }

    fn entry(&self, folder: &str, file: FileId) -> Option<Entry> {
        if self.is_root(file) {
            return None;
        }
        let own = &self.folders[file];
        if own == folder {
            return Some(Entry::File(file));
        }
        let below = if folder.is_empty() { own } else { own.strip_prefix(folder)?.strip_prefix('/')? };
        let room = below.split('/').next().expect("a split has a first part");
        Some(Entry::Room(if folder.is_empty() { room.to_owned() } else { format!("{folder}/{room}") }))
    }

    fn name(&self, entry: &Entry) -> String {
        match entry {
            Entry::File(file) => self.path(*file).to_owned(),
            Entry::Room(name) => format!("{name}/"),
        }
    }
}

/// A file or a room that is directly in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    File(FileId),
    Room(String),
}

fn violation(message: &str, places: Vec<Place>) -> Option<Violation> {
    (!places.is_empty()).then(|| Violation { message: message.to_owned(), places })
}

/// Returns the folder of a file. The main file of a module with a folder belongs to that folder: `run.rs` beside
/// `run/` belongs to `run`.
fn folder_of(path: &str, all: &BTreeSet<&str>) -> String {
    let own = path.trim_end_matches(".rs");
    let is_module = path != "lib.rs" && all.iter().any(|other| other.starts_with(&format!("{own}/")));
    match path.rsplit_once('/') {
        _ if is_module => own.to_owned(),
        Some((folder, _)) => folder.to_owned(),
        None => String::new(),
    }
}

/// Returns whether a path out of this crate leads into a crate that `base` must not name. `base` may name std,
/// primitive types, and the names that the compiler defines.
fn is_foreign_crate(path: &[String]) -> bool {
    const KNOWN: &[&str] = &["std", "core", "alloc", "clippy", "rustfmt", "rustdoc", "rustc", "diagnostic"];
    const PRIMITIVE: &[&str] = &[
        "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128",
        "isize", "f32", "f64",
    ];
    let first = path.first().map_or("", String::as_str);
    let is_crate = path.len() > 1 && first.starts_with(|first: char| first.is_ascii_lowercase());
    is_crate && !KNOWN.contains(&first) && !PRIMITIVE.contains(&first) && !CRATES_OF_BASE.contains(&first)
}
