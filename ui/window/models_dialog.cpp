// SPDX-License-Identifier: Apache-2.0
#include "ui/window/models_dialog.h"

#include <QCheckBox>
#include <QDialogButtonBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QProgressBar>
#include <QPushButton>
#include <QTreeWidget>
#include <QVBoxLayout>

namespace loftscope {

namespace {

enum Column { nameColumn, titleColumn, sizeColumn, licenceColumn, whereColumn };

constexpr int pathRole = Qt::UserRole;

QString textOf(std::string_view text) {
    return QString::fromUtf8(text.data(), static_cast<int>(text.size()));
}

QString sizeOf(const KnownModel& model) {
    if (model.megabytes == 0) return ModelsDialog::tr("not known");
    return model.megabytes < 1000
               ? ModelsDialog::tr("%1 MB").arg(model.megabytes)
               : ModelsDialog::tr("%1 GB").arg(model.megabytes / 1000, 0, 'f', 1);
}

QTreeWidgetItem* headingIn(QTreeWidget* list, const QString& text) {
    auto* heading = new QTreeWidgetItem(list, {text});
    QFont bold = heading->font(0);
    bold.setBold(true);
    heading->setFont(0, bold);
    heading->setFlags(Qt::ItemIsEnabled);
    heading->setFirstColumnSpanned(true);
    return heading;
}

} // namespace

ModelsDialog::ModelsDialog(std::function<ModelPlaces()> places, Address address, QWidget* parent)
    : QDialog(parent)
    , places_(std::move(places))
    , address_(std::move(address))
    , filter_(new QLineEdit)
    , list_(new QTreeWidget)
    , about_(new QLabel)
    , licence_(new QCheckBox(tr("I have read the licence and &accept it")))
    , progress_(new QProgressBar)
    , message_(new QLabel)
    , fetch_(new QPushButton(tr("&Fetch")))
    , use_(new QPushButton(tr("&Use")))
    , cancel_(new QPushButton(tr("&Stop"))) {
    setObjectName("modelsDialog");
    setWindowTitle(tr("Models"));
    filter_->setPlaceholderText(tr("Search, e.g. dinov2 or upsampler"));
    filter_->setClearButtonEnabled(true);
    filter_->setAccessibleName(tr("Search"));
    list_->setColumnCount(5);
    list_->setHeaderLabels({tr("Name"), tr("What"), tr("Size"), tr("Licence"), tr("Where")});
    list_->setRootIsDecorated(false);
    list_->setIndentation(10);
    list_->setUniformRowHeights(true);
    list_->setAllColumnsShowFocus(true);
    list_->setTextElideMode(Qt::ElideRight);
    list_->setAccessibleName(tr("Models"));
    list_->header()->setStretchLastSection(true);
    about_->setWordWrap(true);
    about_->setTextInteractionFlags(Qt::TextBrowserInteraction);
    about_->setOpenExternalLinks(true);
    about_->setMinimumHeight(3 * about_->fontMetrics().lineSpacing());
    about_->setAlignment(Qt::AlignLeft | Qt::AlignTop);
    message_->setWordWrap(true);
    message_->setTextInteractionFlags(Qt::TextSelectableByMouse);
    progress_->setRange(0, 1000);
    progress_->setAccessibleName(tr("Fetched"));
    QSizePolicy keptPlace = progress_->sizePolicy();
    keptPlace.setRetainSizeWhenHidden(true);
    progress_->setSizePolicy(keptPlace);
    progress_->hide();
    fetch_->setToolTip(tr("Fetches the file from its publisher and opens it"));
    use_->setToolTip(tr("Opens the file that lies there"));
    cancel_->setToolTip(tr("Stops fetching; what is there already is kept and gone on with later"));
    for (QPushButton* button : {fetch_, use_, cancel_})
        button->setAutoDefault(false);
    auto* close = new QDialogButtonBox(QDialogButtonBox::Close);
    close->button(QDialogButtonBox::Close)->setAutoDefault(false);

    auto* buttons = new QHBoxLayout;
    buttons->addWidget(use_);
    buttons->addWidget(fetch_);
    buttons->addWidget(cancel_);
    buttons->addWidget(progress_, 1);
    buttons->addWidget(close);
    auto* layout = new QVBoxLayout(this);
    layout->addWidget(filter_);
    layout->addWidget(list_, 1);
    layout->addWidget(about_);
    layout->addWidget(licence_);
    layout->addWidget(message_);
    layout->addLayout(buttons);
    resize(1000, 600);

    connect(filter_, &QLineEdit::textChanged, this, &ModelsDialog::applyFilter);
    connect(list_, &QTreeWidget::currentItemChanged, this, [this] {
        licence_->setChecked(false);
        if (fetching_ == nullptr) say({});
        showSelected();
    });
    connect(list_, &QTreeWidget::itemActivated, this, [this] {
        if (use_->isEnabled()) use();
    });
    connect(licence_, &QCheckBox::toggled, this, &ModelsDialog::showSelected);
    connect(fetch_, &QPushButton::clicked, this, &ModelsDialog::fetch);
    connect(use_, &QPushButton::clicked, this, &ModelsDialog::use);
    connect(cancel_, &QPushButton::clicked, &fetcher_, &ModelFetcher::cancel);
    connect(close, &QDialogButtonBox::rejected, this, &QDialog::reject);
    connect(&fetcher_, &ModelFetcher::progressed, this,
            [this](const QString& stage, double fraction) {
                progress_->setFormat(stage + QStringLiteral(" %p %"));
                progress_->setValue(static_cast<int>(fraction * 1000));
            });
    connect(&fetcher_, &ModelFetcher::fetched, this, &ModelsDialog::onFetched);
    connect(&fetcher_, &ModelFetcher::cancelled, this, [this] {
        say(tr("Stopped. Fetching goes on from there the next time."));
        fetching_ = nullptr;
        showSelected();
    });
    connect(&fetcher_, &ModelFetcher::failed, this, [this](const QString& sentence) {
        say(sentence);
        fetching_ = nullptr;
        showSelected();
    });
    refresh();
    list_->resizeColumnToContents(nameColumn);
    list_->setColumnWidth(titleColumn, 330);
    list_->resizeColumnToContents(sizeColumn);
    list_->setColumnWidth(licenceColumn, 200);
}

void ModelsDialog::refresh() {
    const QString before = selected() != nullptr ? textOf(selected()->name) : QString();
    const ModelPlaces places = places_();
    list_->clear();
    QTreeWidgetItem* backbones = headingIn(list_, tr("Backbones"));
    QTreeWidgetItem* upsamplers = headingIn(list_, tr("Upsamplers"));
    QTreeWidgetItem* vocabularies = headingIn(list_, tr("Vocabularies"));
    for (const KnownModel& model : knownModels()) {
        auto* item = new QTreeWidgetItem(model.vocabulary       ? vocabularies
                                         : model.method.empty() ? backbones
                                                                : upsamplers);
        item->setText(nameColumn, textOf(model.name));
        item->setText(titleColumn, textOf(model.title));
        item->setText(sizeColumn, sizeOf(model));
        item->setTextAlignment(sizeColumn, Qt::AlignRight | Qt::AlignVCenter);
        item->setText(licenceColumn, textOf(model.licence));
        for (const Column column : {titleColumn, licenceColumn})
            item->setToolTip(column, item->text(column));
        if (const auto found = findModel(model, places)) {
            const QString path = QString::fromStdString(found->path.string());
            item->setText(whereColumn, QString::fromStdString(found->where));
            item->setToolTip(whereColumn, path);
            item->setData(nameColumn, pathRole, path);
        } else if (partlyFetched(model, places.own) > 0) {
            item->setText(whereColumn, tr("partly fetched"));
        }
    }
    list_->expandAll();
    applyFilter();
    if (before.isEmpty() || !choose(before)) showSelected();
}

QTreeWidgetItem* ModelsDialog::itemOf(const QString& name) const {
    for (int group = 0; group < list_->topLevelItemCount(); ++group) {
        QTreeWidgetItem* const heading = list_->topLevelItem(group);
        for (int i = 0; i < heading->childCount(); ++i)
            if (heading->child(i)->text(nameColumn) == name) return heading->child(i);
    }
    return nullptr;
}

bool ModelsDialog::choose(const QString& name) {
    QTreeWidgetItem* const item = itemOf(name);
    if (item == nullptr) return false;
    list_->setCurrentItem(item);
    return true;
}

const KnownModel* ModelsDialog::selected() const {
    const QTreeWidgetItem* const item = list_->currentItem();
    return item == nullptr ? nullptr : knownModel(item->text(nameColumn).toStdString());
}

void ModelsDialog::applyFilter() {
    const QStringList words = filter_->text().split(' ', Qt::SkipEmptyParts);
    for (int group = 0; group < list_->topLevelItemCount(); ++group) {
        QTreeWidgetItem* const heading = list_->topLevelItem(group);
        bool any = false;
        for (int i = 0; i < heading->childCount(); ++i) {
            QTreeWidgetItem* const item = heading->child(i);
            QString searched = heading->text(0);
            for (int column = 0; column < list_->columnCount(); ++column)
                searched += ' ' + item->text(column);
            bool fits = true;
            for (const QString& word : words)
                fits = fits && searched.contains(word, Qt::CaseInsensitive);
            item->setHidden(!fits);
            any = any || fits;
        }
        heading->setHidden(!any);
    }
}

void ModelsDialog::showSelected() {
    const KnownModel* const model = selected();
    const bool busy = fetching_ != nullptr;
    const QString path =
        model == nullptr ? QString() : list_->currentItem()->data(nameColumn, pathRole).toString();
    const bool here = !path.isEmpty();
    const bool fetchable = model != nullptr && !here && !model->url.empty();
    const bool asks = fetchable && model->restricted;
    licence_->setVisible(asks);
    fetch_->setEnabled(!busy && fetchable && (!asks || licence_->isChecked()));
    use_->setEnabled(here && !model->vocabulary); // texts find their words themselves
    cancel_->setEnabled(busy);
    progress_->setVisible(busy);
    const bool begun = fetchable && partlyFetched(*model, places_().own) > 0;
    fetch_->setText(begun ? tr("&Go on") : tr("&Fetch"));
    if (model == nullptr) {
        about_->setText(tr("Choose a model. What Python programs have fetched already is found."));
        return;
    }
    QStringList lines{QString("<b>%1</b>").arg(textOf(model->title).toHtmlEscaped()),
                      tr("Licence: %1").arg(textOf(model->licence).toHtmlEscaped())};
    if (here) {
        lines << path.toHtmlEscaped();
    } else if (!model->url.empty()) {
        lines << tr("From %1").arg(textOf(model->url).toHtmlEscaped());
    } else if (!model->page.empty()) {
        lines << tr("Its publisher asks for a name first: get '%1' at <a href=\"%2\">%2</a> and "
                    "lay it into '%3'.")
                     .arg(textOf(model->file).toHtmlEscaped(), textOf(model->page).toHtmlEscaped(),
                          QString::fromStdString(places_().own.string()).toHtmlEscaped());
    }
    about_->setText(lines.join("<br>"));
}

QString ModelsDialog::text() const {
    return about_->text() + '\n' + message_->text();
}

void ModelsDialog::say(const QString& text) {
    message_->setText(text);
}

void ModelsDialog::fetch() {
    const KnownModel* const model = selected();
    if (model == nullptr || fetcher_.busy()) return;
    fetching_ = model;
    progress_->setValue(0);
    progress_->setFormat(tr("connecting"));
    say(tr("Fetching %1.").arg(textOf(model->title)));
    fetcher_.fetch(*model, {places_().own, address_ ? address_(*model) : std::string(), {}});
    showSelected();
}

void ModelsDialog::use() {
    Q_EMIT chosen(list_->currentItem()->data(nameColumn, pathRole).toString());
}

void ModelsDialog::onFetched(const QString& path) {
    say(tr("Fetched: %1.").arg(textOf(fetching_->title)));
    const bool opens = !fetching_->vocabulary;
    fetching_ = nullptr;
    refresh();
    if (opens) Q_EMIT chosen(path);
}

} // namespace loftscope
